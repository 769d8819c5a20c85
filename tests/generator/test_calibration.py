"""Fraud is neither trivial nor hopeless: what simple rules, amount and hour, and a supervised model make of it."""

import numpy as np
import pytest
import xgboost
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from generator.runs import Run
from generator.scenarios import SCENARIOS
from ml.features import FEATURES
from tests.generator.dataset import Dataset, make_dataset

CUSTOMERS, DAYS, WARM_UP = 6_000, 42, 24  # labels need some weeks until they say anything of a merchant
SEEDS = 31, 32  # by which no scenario was calibrated
NAMES = [scenario.name for scenario in SCENARIOS]


@pytest.fixture(scope="module")
def standard() -> list[Dataset]:
    return [make_dataset(seed, CUSTOMERS, DAYS, WARM_UP) for seed in SEEDS]


def test_at_medium_subtlety_each_rule_finds_between_0_3_and_0_6(standard: list[Dataset]) -> None:
    recalls = np.array([[one.recall(number) for number in range(len(SCENARIOS))] for one in standard])
    for name, found in zip(NAMES, recalls.T, strict=True):
        print(f"{name:22} {' '.join(f'{recall:.2f}' for recall in found)}")
    assert ((recalls.mean(axis=0) >= 0.3) & (recalls.mean(axis=0) <= 0.6)).all()


def test_the_subtler_the_fraud_the_less_a_rule_finds(standard: list[Dataset]) -> None:
    low, high = (make_dataset(11, CUSTOMERS, DAYS, WARM_UP, run) for run in (Run(subtlety="low"), Run(subtlety="high")))
    for number, name in enumerate(NAMES):
        recalls = [one.recall(number) for one in (low, standard[0], high)]
        print(f"{name:22} {' '.join(f'{recall:.2f}' for recall in recalls)}")
        assert recalls[0] > recalls[1] > recalls[2], name
        assert recalls[0] > 0.5, name
        assert recalls[2] < 0.35, name


def test_amount_and_hour_alone_find_little_and_a_supervised_model_finds_much(standard: list[Dataset]) -> None:
    one = standard[0]
    fraud, columns = one.scenario >= 0, one.columns
    cut = int(0.65 * len(fraud))
    simple = np.column_stack([columns["amount"], columns["hour_of_day"]])
    regression = make_pipeline(StandardScaler(), LogisticRegression()).fit(simple[:cut], fraud[:cut])
    by_amount = average_precision_score(fraud[cut:], regression.decision_function(simple[cut:]))
    kinds = [np.unique(columns[name], return_inverse=True)[1] for name in ("channel", "merchant_category")]
    everything = np.column_stack([one.features, *kinds, columns["device_id"] == ""])
    model = xgboost.XGBClassifier(n_estimators=150, max_depth=6, learning_rate=0.15, subsample=0.8, n_jobs=1, seed=1)
    model.fit(everything[:cut], fraud[:cut])
    by_model = average_precision_score(fraud[cut:], model.predict_proba(everything[cut:])[:, 1])
    print(f"average precision: amount and hour {by_amount:.3f}, supervised {by_model:.3f}, of {len(fraud):,}")
    assert by_amount < 0.15
    assert by_model > 0.5


def test_rules_and_tampered_features_are_known_features() -> None:
    for scenario in SCENARIOS:
        assert scenario.tampers
        assert scenario.tampers <= set(FEATURES)
