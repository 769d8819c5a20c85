"""Training: what a model is fitted to, what its threshold promises, and which labels it knows."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml.dataset.history import History, HistoryError
from ml.dataset.split import TRAINING_PARTS, chosen_rows, training_cuts
from ml.detectors import DETECTORS
from ml.detectors.columns import CHOSEN
from ml.detectors.recent import Rows, fit_with_recent
from ml.features import FEATURES
from ml.features.customers import CustomerTable
from ml.features.events import events_from_arrow
from ml.features.profile_schema import PROFILE_FEATURES
from ml.model import usual_ranges
from ml.thresholds.budget import threshold_for_budget
from ml.thresholds.decline import declines
from ml.training.policy import Policy, labels_for
from ml.training.train import Trained, TrainingError, train
from tests.ml.conftest import isolation_scorer


def trained_on(path: Path, budget: float = 0.01, seed: int = 3) -> Trained:
    return train(History.open(path), Policy("scoreline", budget=budget, seed=seed))


@pytest.fixture(scope="module")
def trained(history_folder: Path) -> Trained:
    return trained_on(history_folder)


@pytest.fixture(scope="module")
def folded(transactions: pa.Table) -> np.ndarray:
    """The features of the whole history, folded in one piece."""
    return CustomerTable().fold(transactions["customer_id"], events_from_arrow(transactions)).features


def test_the_forest_is_fitted_to_the_middle_of_the_history_and_the_threshold_is_later(
    trained: Trained, folded: np.ndarray
) -> None:
    fitted, held_out, checked = folded[1_800:3_600], folded[3_600:5_400], folded[5_400:]
    model = trained.model
    assert model.features == FEATURES
    assert model.usual.tolist() == usual_ranges(fitted).tolist()
    assert trained.example.tolist() == fitted.tolist()
    by_hand = isolation_scorer(fitted, seed=3)
    assert model.threshold == threshold_for_budget(model.anomaly_score(held_out), 0.01)
    assert model.anomaly_score(folded).tolist() == by_hand.anomaly_score(folded).tolist()
    assert trained.metrics["alert_share_check_part"] == model.is_anomaly(model.anomaly_score(checked)).mean()


def test_the_alert_budget_is_met_on_the_rows_that_the_threshold_comes_from(trained: Trained) -> None:
    assert 0.009 < trained.metrics["alert_share_threshold_part"] <= 0.01


def test_training_says_what_it_did(trained: Trained) -> None:
    assert trained.params["rows"] == 6_000
    assert trained.params["customers"] == 150
    assert trained.params["seed"] == 3
    assert {name for name in trained.metrics if name.startswith("seconds_")} == {
        "seconds_fold",
        "seconds_search",
        "seconds_fit",
        "seconds_threshold",
    }


def test_the_same_history_and_seed_give_the_same_model_from_parquet_and_csv_whatever_the_truth(
    tmp_path: Path, trained: Trained, transactions: pa.Table, folded: np.ndarray
) -> None:
    pyarrow.csv.write_csv(transactions, tmp_path / "history.csv")
    pq.write_table(pa.table({"transaction_id": transactions["transaction_id"]}), tmp_path / "truth.parquet")
    again = trained_on(tmp_path).model
    assert again.threshold == trained.model.threshold
    assert again.anomaly_score(folded).tolist() == trained.model.anomaly_score(folded).tolist()


def test_another_seed_gives_another_model(history_folder: Path, trained: Trained) -> None:
    assert trained_on(history_folder, seed=4).model.threshold != trained.model.threshold


def test_the_customers_are_folded_to_the_end_of_the_history(trained: Trained, transactions: pa.Table) -> None:
    whole = CustomerTable()
    whole.fold(transactions["customer_id"], events_from_arrow(transactions))
    assert trained.customers.states.tobytes() == whole.states.tobytes()


def test_duplicates_are_not_trained_on(tmp_path: Path, trained: Trained, transactions: pa.Table) -> None:
    twice = pa.concat_tables([transactions[row // 2 : row // 2 + 1] for row in range(2 * transactions.num_rows)])
    pq.write_table(twice, tmp_path / "twice.parquet")
    doubled = trained_on(tmp_path)
    assert doubled.params["rows"] == 12_000
    assert doubled.example.tolist() == trained.example.tolist()


def test_one_absurd_amount_does_not_spoil_a_model(tmp_path: Path, transactions: pa.Table) -> None:
    amounts = transactions["amount"].to_pylist()
    amounts[2_000] = 1.7e308
    place = transactions.schema.get_field_index("amount")
    absurd = transactions.set_column(place, transactions.schema.field("amount"), pa.array(amounts))
    pq.write_table(absurd, tmp_path / "absurd.parquet")
    spoilt = trained_on(tmp_path)
    assert np.isfinite(spoilt.example).all()
    assert np.isfinite(spoilt.model.usual).all()
    assert 0 < spoilt.model.threshold < 1


@settings(deadline=None, max_examples=30)
@given(rows=st.integers(0, 3_000_000), seed=st.integers(0, 9))
def test_parts_of_a_history_do_not_overlap_and_are_bounded(rows: int, seed: int) -> None:
    chosen = chosen_rows(training_cuts(rows), seed)
    fitted, held_out, checked = chosen["fit"], chosen["threshold"], chosen["check"]
    everything = np.concatenate([fitted, held_out, checked])
    assert (np.diff(everything) > 0).all()
    assert len(everything) == 0 or (everything[0] >= 0.3 * rows - 1 and everything[-1] == rows - 1)
    assert all(len(chosen[part]) <= most for part, (_, _, most) in TRAINING_PARTS.items())


@pytest.mark.parametrize("budget", [0.0, 1.0, 2.0, -0.1, float("nan")])
def test_a_budget_that_is_no_share_is_refused_before_the_work(history_folder: Path, budget: float) -> None:
    with pytest.raises(TrainingError, match=r"between 0 and 1 \(0\.005 is 0\.5 %\), not"):
        trained_on(history_folder, budget=budget)


def test_a_history_too_short_for_its_budget_is_refused(history_folder: Path) -> None:
    with pytest.raises(TrainingError, match=r"a budget of 0\.010% needs .* at least 33,335 transactions, not 6,000"):
        trained_on(history_folder, budget=0.0001)


HOUR_MS = 3_600_000


def with_fraud(folder: Path, transactions: pa.Table) -> Path:
    """A history in which every 20th payment is very large, and known to be fraud an hour later."""
    fraud = np.arange(transactions.num_rows) % 20 == 0
    amounts = np.where(fraud, 5_000.0, transactions["amount"].to_numpy())
    place = transactions.schema.get_field_index("amount")
    changed = transactions.set_column(place, transactions.schema.field("amount"), pa.array(amounts))
    pq.write_table(changed, folder / "transactions.parquet")
    known = changed.filter(pa.array(fraud))
    times = known["event_time"].cast(pa.int64()).to_numpy() + HOUR_MS
    columns = {
        "transaction_id": known["transaction_id"],
        "is_fraud": pa.array(np.ones(len(times), bool)),
        "label_time": pa.array(times, pa.timestamp("ms", tz="UTC")),
    }
    pq.write_table(pa.table(columns), folder / "labels.parquet")
    return folder


@pytest.mark.parametrize("detector", ["logistic_regression", "random_forest", "xgboost", "combined"])
def test_a_detector_learns_from_labels_what_fraud_is(tmp_path: Path, transactions: pa.Table, detector: str) -> None:
    folder = with_fraud(tmp_path, transactions)
    policy = Policy("scoreline", detector, budget=0.06)
    trained = train(History.open(folder), policy, labels_for(policy, folder))
    changed = pq.read_table(folder / "transactions.parquet")
    rows = CustomerTable().fold(changed["customer_id"], events_from_arrow(changed)).features[5_400:]
    fraud = np.arange(5_400, 6_000) % 20 == 0
    scores = trained.model.anomaly_score(rows)
    assert scores[fraud].min() > scores[~fraud].max()
    assert trained.metrics["known_frauds_fit_part"] == 90
    assert trained.params["detector"] == detector


def test_the_thresholds_come_from_scores_by_what_never_saw_the_rows(tmp_path: Path, transactions: pa.Table) -> None:
    folder = with_fraud(tmp_path, transactions)
    policy = Policy("scoreline", "xgboost", budget=0.06)
    trained = train(History.open(folder), policy, labels_for(policy, folder))
    changed = pq.read_table(folder / "transactions.parquet")
    rows = CustomerTable().fold(changed["customer_id"], events_from_arrow(changed)).features
    fraud = np.arange(5_400) % 20 == 0
    older, recent = (Rows(rows[part], fraud[part]) for part in (slice(1_800, 3_600), slice(3_600, 5_400)))
    learned = fit_with_recent(DETECTORS["xgboost"], older, recent, policy.seed)
    assert learned.left_out == trained.metrics["left_out_threshold_part"] == 0  # all labels have come
    assert trained.model.anomaly_score(rows).tolist() == learned.scorer.anomaly_score(rows).tolist()
    assert trained.model.threshold == threshold_for_budget(learned.held_out, 0.06)
    found = declines(learned.held_out, recent.is_fraud, trained.model.threshold)
    assert trained.model.decline_threshold == found.threshold is not None
    assert trained.metrics["decline_recall"] == found.recall == 1.0
    assert trained.metrics["decline_share"] == found.share
    assert train(History.open(folder), Policy("scoreline", budget=0.06)).model.decline_threshold is None


def test_a_forest_with_profiles_needs_the_columns_alone_that_rank_the_known_frauds_best(
    tmp_path: Path, transactions: pa.Table
) -> None:
    folder = with_fraud(tmp_path, transactions)
    policy = Policy("scoreline", budget=0.06, profiles=True)
    trained = train(History.open(folder), policy, labels_for(policy, folder))
    assert trained.params["column_set"] == "amounts and risks"
    assert trained.model.features == CHOSEN["amounts and risks"]
    assert trained.model.usual.shape == (len(trained.model.features), 3)
    assert trained.example.shape[1] == len(trained.model.features)
    without = train(History.open(folder), policy)
    assert without.model.features == (*FEATURES, *PROFILE_FEATURES)


def test_a_search_is_never_worse_than_no_search_and_says_what_it_found(tmp_path: Path, transactions: pa.Table) -> None:
    folder = with_fraud(tmp_path, transactions)
    policy = Policy("scoreline", "logistic_regression", budget=0.06, trials=2)
    trained = train(History.open(folder), policy, labels_for(policy, folder))
    assert trained.metrics["average_precision_search"] == pytest.approx(1.0)
    assert {"inverse_regularisation", "trials"} <= trained.params.keys()


def test_a_detector_that_learns_from_labels_is_not_trained_without(history_folder: Path) -> None:
    policy = Policy("scoreline", "xgboost")
    with pytest.raises(HistoryError, match=r"labels.parquet, but there is no such file: .*isolation_forest needs none"):
        labels_for(policy, history_folder)
    with pytest.raises(TrainingError, match="needs labels"):
        train(History.open(history_folder), policy)


def test_too_few_known_frauds_are_said_to_be_too_few(tmp_path: Path, transactions: pa.Table) -> None:
    folder = with_fraud(tmp_path, transactions)
    labels = pq.read_table(folder / "labels.parquet")
    late = pa.array(np.full(len(labels), 4_000_000_000_000), pa.timestamp("ms", tz="UTC"))
    pq.write_table(labels.set_column(2, "label_time", late), folder / "labels.parquet")
    policy = Policy("scoreline", "xgboost", budget=0.06)
    with pytest.raises(TrainingError, match=r"at least 10 known frauds.* 0 are known frauds"):
        train(History.open(folder), policy, labels_for(policy, folder))
