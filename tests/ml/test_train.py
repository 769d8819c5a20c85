"""Training: what a model is fitted to, what its threshold promises, and that labels play no part."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.progress import Progress

from ml.features import FEATURES
from ml.history import History
from ml.model import fit, threshold_for_budget, usual_ranges
from ml.parse import events_from_arrow
from ml.state import CustomerTable
from ml.train import PARTS, Trained, TrainingError, chosen_rows, train


def trained_on(path: Path, budget: float = 0.01, seed: int = 3) -> Trained:
    return train(History.open(path), "scoreline", budget, seed, Progress(disable=True))


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
    by_hand = fit(fitted, FEATURES, seed=3)
    assert model.threshold == threshold_for_budget(model.anomaly_score(held_out), 0.01)
    assert model.pipeline.named_steps["forest"].get_params() == by_hand.named_steps["forest"].get_params()
    assert trained.metrics["alert_share_check_part"] == model.is_anomaly(model.anomaly_score(checked)).mean()


def test_the_alert_budget_is_met_on_the_rows_that_the_threshold_comes_from(trained: Trained) -> None:
    assert 0.009 < trained.metrics["alert_share_threshold_part"] <= 0.01


def test_training_says_what_it_did(trained: Trained) -> None:
    assert trained.params["rows"] == 6_000
    assert trained.params["customers"] == 150
    assert trained.params["seed"] == 3
    assert {name for name in trained.metrics if name.startswith("seconds_")} == {
        "seconds_fold",
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
    chosen = chosen_rows(rows, seed)
    fitted, held_out, checked = chosen["fit"], chosen["threshold"], chosen["check"]
    everything = np.concatenate([fitted, held_out, checked])
    assert (np.diff(everything) > 0).all()
    assert len(everything) == 0 or (everything[0] >= 0.3 * rows - 1 and everything[-1] == rows - 1)
    assert all(len(chosen[part]) <= most for part, (_, _, most) in PARTS.items())


@pytest.mark.parametrize("budget", [0.0, 1.0, 2.0, -0.1, float("nan")])
def test_a_budget_that_is_no_share_is_refused_before_the_work(history_folder: Path, budget: float) -> None:
    with pytest.raises(TrainingError, match=r"between 0 and 1 \(0\.005 is 0\.5 %\), not"):
        trained_on(history_folder, budget=budget)


def test_a_history_too_short_for_its_budget_is_refused(history_folder: Path) -> None:
    with pytest.raises(TrainingError, match=r"a budget of 0\.010% needs .* at least 33,335 transactions, not 6,000"):
        trained_on(history_folder, budget=0.0001)
