"""Labels that come late."""

from datetime import UTC, datetime

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from generator.labels import NEVER_REPORTED, LateLabels
from ml.schema import Label


def label(number: int) -> Label:
    return Label(f"t{number}", f"c{number}", True, datetime(2026, 5, 1, tzinfo=UTC), "simulator", "card_testing")


@given(
    happened=st.lists(st.floats(0, 1_000), max_size=40),
    looked=st.lists(st.floats(0, 2_000), max_size=20),
    mean=st.floats(0, 500),
)
def test_a_label_comes_once_and_never_before_its_fraud(happened: list[float], looked: list[float], mean: float) -> None:
    labels = LateLabels(np.random.default_rng(1), mean)
    for number, seconds in enumerate(happened):
        labels.add(label(number), seconds)
    under_way = len(labels)
    come: list[str] = []
    for now in sorted(looked):
        fresh = list(labels.due(now))
        assert all(happened[int(each.transaction_id[1:])] <= now for each in fresh)
        come += [each.transaction_id for each in fresh]
    come += [each.transaction_id for each in labels.due(float("inf"))]
    assert len(come) == len(set(come)) == under_way
    assert len(labels) == 0


def test_delays_have_their_mean_and_some_labels_never_come() -> None:
    labels = LateLabels(np.random.default_rng(1), 60.0)
    for number in range(5_000):
        labels.add(label(number), 0.0)
    assert abs(len(labels) / 5_000 - (1 - NEVER_REPORTED)) < 0.02
    within_a_mean = len(list(labels.due(60.0))) / (5_000 * (1 - NEVER_REPORTED))
    assert abs(within_a_mean - (1 - np.exp(-1))) < 0.02
