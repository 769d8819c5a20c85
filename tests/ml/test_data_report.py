"""The page about a history: it is held against a plain count, asks nothing of the network, and is kept with a run."""

import re
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ml.commands import train as command
from ml.data_report import summary as counting
from ml.data_report.findings import findings
from ml.data_report.page import page
from ml.data_report.summary import AMOUNT_EDGES, Summary, summarize
from ml.dataset.history import History
from ml.dataset.labels import Labels
from ml.registry import tracking
from ml.registry.model_store import ModelStore, RegistryError
from tests.ml.conftest import Run

FRAUDS = 300


def with_labels(folder: Path, transactions: pa.Table) -> Path:
    """A history whose last FRAUDS transactions are fraud, with an extra that says so and one that is often unknown."""
    n = transactions.num_rows
    fraud = np.arange(n) >= n - FRAUDS
    known = pa.array(np.arange(n, dtype=np.float64), mask=np.arange(n) % 4 == 0)
    pq.write_table(
        transactions.append_column("extra_leak", pa.array(fraud * 1.0)).append_column("extra_number", known),
        folder / "transactions.parquet",
    )
    labels = {
        "transaction_id": transactions["transaction_id"].slice(n - FRAUDS),
        "is_fraud": pa.repeat(True, FRAUDS),
        "label_time": transactions["event_time"].slice(n - FRAUDS),
    }
    pq.write_table(pa.table(labels), folder / "labels.parquet")
    return folder


def summary_of(folder: Path) -> Summary:
    file = folder / "labels.parquet"
    return summarize(History.open(folder), Labels.read(file, with_customers=False) if file.exists() else None)


def test_every_count_is_that_of_a_plain_one(tmp_path: Path, transactions: pa.Table) -> None:
    found, frame = summary_of(with_labels(tmp_path, transactions)), transactions.to_pandas()
    frame["fraud"] = np.arange(len(frame)) >= len(frame) - FRAUDS
    assert (found.rows, found.frauds, found.duplicates) == (len(frame), FRAUDS, 0)
    assert {name: count for name, count in found.missing.items() if name in frame} == frame.drop(
        columns="fraud"
    ).isna().sum().to_dict()
    assert found.missing["number"] == len(frame) / 4
    for name in ("customer_id", "merchant_id", "merchant_category", "country"):
        assert found.distinct[name] == frame[name].nunique()
    for name, rows in frame.groupby("merchant_category"):
        tally = found.values["merchant_category"][str(name)]
        assert (tally.rows, tally.frauds) == (len(rows), rows["fraud"].sum())
    times = frame["event_time"].dt
    for which, counted in ((frame, found.rhythm), (frame[frame["fraud"]], found.fraud_rhythm)):
        table = pd.crosstab(which["event_time"].dt.weekday, which["event_time"].dt.hour)
        by_hand = table.reindex(range(7), fill_value=0).reindex(columns=range(24), fill_value=0)
        assert counted.tolist() == by_hand.to_numpy().tolist()
    days = frame.groupby((times.floor("D") - datetime(1970, 1, 1, tzinfo=UTC)).dt.days)
    assert {day: rows for day, (rows, _, _) in found.days.items()} == days.size().to_dict()
    assert sum(money for _, _, money in found.days.values()) == pytest.approx(frame["amount"].sum())
    bins = np.histogram(frame["amount"], [*AMOUNT_EDGES, np.inf])[0]
    assert found.amounts.sum(axis=0).tolist() == bins.tolist()


def test_a_part_of_the_rows_is_sampled_evenly_over_all_pieces(
    tmp_path: Path, transactions: pa.Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    pq.write_table(transactions[:2_501], tmp_path / "a.parquet")
    pq.write_table(transactions[2_501:], tmp_path / "b.parquet")
    monkeypatch.setattr(counting, "SAMPLED", 900)
    found = summary_of(tmp_path)
    assert found.sample["amount"].tolist() == transactions["amount"].to_numpy()[::6].tolist()


def test_what_a_person_should_look_at_is_said_first(tmp_path: Path, transactions: pa.Table) -> None:
    said = findings(summary_of(with_labels(tmp_path, transactions)))
    assert said[0] == "leak goes along with fraud almost perfectly (1.00): is it known when the payment is made?"
    assert "Never there: device_id." in said
    assert "The same in every transaction that has it: currency (EUR), country (FR), channel (chip)." in said


def test_the_page_asks_nothing_of_the_network_and_shows_names_as_they_are(
    tmp_path: Path, transactions: pa.Table
) -> None:
    evil = "<img src=http://x.example/>"
    column = pa.array([evil] * transactions.num_rows)
    place = transactions.schema.get_field_index("merchant_category")
    made = page(summary_of(with_labels(tmp_path, transactions.set_column(place, "merchant_category", column))), evil)
    ours = re.sub(r"<script>\s*/\*\*.*?</script>", "", made, count=1, flags=re.DOTALL)  # Plotly's own
    assert len(made) - len(ours) > 1_000_000
    assert evil not in ours
    assert not re.search(r"""<(script|link|img|iframe)[^>]*(src|href)|@import|url\(|fetch\(""", ours)
    assert ours.count('class="plotly-graph-div"') == 18


def test_a_history_of_one_transaction_without_labels_has_a_page(tmp_path: Path, transactions: pa.Table) -> None:
    pq.write_table(transactions[:1], tmp_path / "one.parquet")
    made = page(summary_of(tmp_path), "one")
    assert "There are no labels beside it" in made


def test_the_command_writes_the_page_beside_the_history(run: Run, tmp_path: Path, transactions: pa.Table) -> None:
    folder = with_labels(tmp_path, transactions)
    code, out, _ = run("report", str(folder))
    assert code == 0
    assert out.startswith(f"6,000 transactions of {folder}, 300 known as fraud: see {folder / 'report.html'}")
    assert (folder / "report.html").read_text().startswith("<!DOCTYPE html>")
    code, out, err = run("report", str(tmp_path / "nowhere"))
    assert (code, out) == (1, "")
    assert err.startswith("error: ")


def test_training_keeps_the_page_with_the_run(run: Run, registry: ModelStore, history_folder: Path) -> None:
    assert run("train", str(history_folder))[0] == 0
    client = tracking.client(registry.uri)
    run_id = client.get_model_version(registry.name, "1").run_id
    assert "report.html" in [file.path for file in client.list_artifacts(run_id)]


def test_a_page_that_cannot_be_kept_is_a_warning_and_the_model_is_there(
    run: Run, history_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise RegistryError("no room")

    monkeypatch.setattr(command, "attach", refuse)
    code, out, err = run("train", str(history_folder))
    assert (code, out.split()[:2]) == (0, ["version", "1"])
    assert "is not kept with version 1: no room" in err
