"""A model that learned from labels, asked about traffic that has ended."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, cast

import numpy as np

from demo.labelled import AT_ONCE, Scored, judged
from demo.quality import Fraud, Part, Quality, Seen
from ml.arrays import Floats
from ml.features import FEATURE_SET, FEATURES
from ml.model import Model

AMOUNT = FEATURES.index("log_amount")
SCORED = AT_ONCE + 5


class ByAmount:
    """Takes the log amount for the score."""

    def anomaly_score(self, features: Floats) -> Floats:
        return features[:, 1]


def scores() -> Iterator[Scored]:
    """Transactions 0, 1, … of which every hundredth is large."""
    for number in range(SCORED):
        features = [0.0] * len(FEATURES)
        features[AMOUNT] = 0.9 if number % 100 == 0 else 0.1
        yield Scored(f"t{number}", 0, number, features, FEATURE_SET, 2)


def test_it_judges_each_scored_transaction_by_the_columns_that_it_needs() -> None:
    model = Model("m", 2, cast(Any, ByAmount()), 0.5, ("hour_of_day", "log_amount"), np.zeros((2, 3)))
    now = Seen(datetime(2026, 1, 1, tzinfo=UTC), False, Part("forest", 1), 0, 0)
    frauds = {
        "t0": Fraud("bust_out", "c", now),
        f"t{AT_ONCE}": Fraud("bust_out", "c", now),
        "t1": Fraud("card_testing", "d", now),
        "never scored": Fraud("card_testing", "d"),
    }
    found = judged(scores(), model, frauds)
    assert found.version == 2
    assert found.quality == Quality(alerts=AT_ONCE // 100 + 1, frauds=3, caught=2)
    assert found.alerted == {"bust_out": 2}
