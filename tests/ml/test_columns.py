"""Which columns a forest reads: those that rank the frauds best that are known of later rows."""

from dataclasses import replace

import numpy as np
import pytest

from ml.arrays import Flags, Floats
from ml.detectors import DETECTORS
from ml.detectors.columns import ALL, CHOSEN, Choice, choose, narrowed
from ml.detectors.combined import Combined
from ml.detectors.isolation_forest import IsolationForest
from ml.features import FEATURES
from ml.features.profile_schema import PROFILE_FEATURES

NAMES = (*FEATURES, *PROFILE_FEATURES, "device_risk")
SMALL = IsolationForest(trees=20, rows_per_tree=256)


def bank(strange: tuple[str, ...]) -> tuple[Floats, Flags]:
    """Rows in which fraud is strange in these columns alone."""
    random = np.random.default_rng(1)
    features = random.normal(size=(4_000, len(NAMES)))
    is_fraud = random.random(len(features)) < 0.02
    for name in strange:
        features[is_fraud, NAMES.index(name)] += 4
    return features, is_fraud


def chosen(strange: tuple[str, ...]) -> Choice:
    return choose(SMALL, NAMES, *bank(strange), 1)


def test_where_fraud_shows_in_amounts_and_risks_the_forest_reads_nothing_else() -> None:
    choice = chosen(("merchant_risk_1d", "merchant_risk_7d", "log_amount_ratio"))
    assert choice.column_set == "amounts and risks"
    _, columns = narrowed(choice.detector, NAMES)
    assert tuple(NAMES[k] for k in columns) == CHOSEN["amounts and risks"]


def test_where_it_shows_in_an_extra_that_stays_among_the_columns() -> None:
    choice = chosen(("device_risk", "speed_kmh", "new_country"))
    assert choice.column_set in (ALL, "without labels")
    _, columns = narrowed(choice.detector, NAMES)
    assert NAMES.index("device_risk") in columns


def test_a_forest_of_some_columns_scores_as_one_that_knows_no_others() -> None:
    features, is_fraud = bank(("merchant_risk_1d",))
    detector = replace(SMALL, columns=(3, 28, 5))
    few, columns = narrowed(detector, NAMES)
    assert columns == (3, 28, 5)
    alone = few.fit(np.ascontiguousarray(features[:, columns]), is_fraud, 7)
    whole = detector.fit(features, is_fraud, 7)
    assert whole.anomaly_score(features).tolist() == alone.anomaly_score(features[:, columns]).tolist()
    parts = whole.contributions(features[:5], np.median(features, axis=0))
    assert not np.delete(parts, columns, axis=1).any()


@pytest.mark.parametrize("detector", [SMALL, DETECTORS["xgboost"]])
def test_without_profile_features_or_a_forest_nothing_is_chosen(detector: IsolationForest) -> None:
    features, is_fraud = bank(("log_amount",))
    names = NAMES if detector is not SMALL else FEATURES
    assert choose(detector, names, features[:, : len(names)], is_fraud, 1) == Choice(detector)
    assert narrowed(detector, names) == (detector, tuple(range(len(names))))


def test_where_too_few_frauds_are_known_the_forest_reads_all_columns() -> None:
    features, is_fraud = bank(("merchant_risk_1d",))
    assert choose(SMALL, NAMES, features, is_fraud & (np.arange(len(is_fraud)) < 500), 1) == Choice(SMALL)


def test_a_combinations_forest_has_its_own_columns_and_the_others_read_all() -> None:
    features, is_fraud = bank(("merchant_risk_1d", "merchant_risk_7d", "log_amount_ratio"))
    combined = choose(Combined(unsupervised=SMALL), NAMES, features, is_fraud, 1).detector
    assert isinstance(combined, Combined)
    assert [NAMES[k] for k in combined.unsupervised.columns] == list(CHOSEN["amounts and risks"])
    assert narrowed(combined, NAMES) == (combined, tuple(range(len(NAMES))))
