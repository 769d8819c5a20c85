"""The long steps in a process of their own: a training on a real lake, and the gate; once, whoever is killed."""

import time
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import write_deltalake

from generator.history import Origin, write_history
from generator.labels import Reporting
from generator.runs import Run
from lake.place import Place
from lake.rows import DAY, LABEL_ROW, LABELS, SCORE_ROW, SCORES
from ml.dataset.history import History
from ml.features.currencies import default_rates
from ml.features.events import milliseconds
from ml.registry.model_store import ModelStore, Note
from ml.training.policy import Policy
from ml.training.train import train
from settings import Settings
from watch.doing import Outcome
from watch.journal import Folder
from watch.state import Open
from watch.steps import Entry, Step
from watch.worker import LOG, ProcessWorker

END = datetime(2026, 5, 4, tzinfo=UTC)


def lake_of_history(history: Path, place: Place) -> None:
    """A lake with a history's transactions and labels, without what a model said of them."""
    for name, table, schema in (("transactions", SCORES, SCORE_ROW), ("labels", LABELS, LABEL_ROW)):
        rows = pq.read_table(history / f"{name}.parquet")
        n = rows.num_rows
        given = {each: rows[each] for each in rows.column_names}
        given |= {DAY: pa.array([END.date()] * n), "topic_id": pa.array(["T"] * n), "partition": pa.array([0] * n)}
        given |= {"offset": pa.array(range(n)), "archived_at": pa.array(range(n))}
        columns = [given[f.name].cast(f.type) if f.name in given else pa.nulls(n, f.type) for f in schema]
        write_deltalake(place.table(table), pa.Table.from_arrays(columns, schema=schema), partition_by=[DAY])


def finished(worker: ProcessWorker, work: Open) -> Outcome:
    until = time.monotonic() + 120
    while time.monotonic() < until:
        if (outcome := worker.poll(work)) is not None:
            return outcome
        time.sleep(0.1)
    raise AssertionError((worker.folder.path / LOG).read_text())


def test_a_training_on_the_lake_makes_one_version_and_the_gate_compares_it(
    registry: ModelStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", registry.uri)
    origin = Origin(101, 250, END, 16, Run(fraud_share=0.03, subtlety="low"), reporting=Reporting(median_days=0.5))
    write_history(tmp_path / "history", origin, origin.world())
    place = Place(str(tmp_path / "lake"))
    lake_of_history(tmp_path / "history", place)
    history = History.open(tmp_path / "history", default_rates())
    first = train(history, Policy("scoreline", budget=0.03))
    registry.register(first.model, first.example, first.params, first.metrics)
    registry.promote(1, Note("a person"))

    folder = Folder(tmp_path / "watch")
    settings = Settings.from_command_line([]).model_copy(update={"lake": place.uri})
    worker = ProcessWorker(folder, settings)
    end = milliseconds(END)
    step = Step("train", "a test", champion=1, detector="xgboost", since=end - 12 * 86_400_000, until=end)
    folder.append(Entry("000001", end, end, "begun", step))
    work = folder.state().work
    assert work is not None
    trained = finished(worker, work)
    assert (trained.phase, trained.version) == ("done", 2), (folder.path / LOG).read_text()
    params = registry.training(2).params
    assert params["detector"] == "xgboost"
    assert float(params["budget"]) == 0.03
    assert "2026-04-22" in params["history"]
    for file in folder.path.glob("work-*.json"):  # as if it was killed before it could say so
        file.unlink()
    again = finished(ProcessWorker(folder, settings), work)
    assert (again.version, [version.version for version in registry.models()]) == (2, [2, 1])

    folder.append(Entry("000001", end, end, "done", step, 2))
    check = Step("gate", "a test", version=2, champion=1, live=True, since=end - 12 * 86_400_000, until=end)
    folder.append(Entry("000003", end, end, "begun", check))
    asked = folder.state().work
    assert asked is not None
    said = finished(worker, asked)
    assert said.phase == "done", said
    assert registry.report(2) is not None
    assert "quality" in str(registry.report(2))

    broken = Step("train", "a test", champion=1, detector="xgboost", since=0, until=1)
    folder.append(Entry("000003", end, end, "done", check, 2))
    folder.append(Entry("000005", end, end, "begun", broken))
    work = folder.state().work
    assert work is not None
    failed = finished(worker, work)
    assert failed.phase == "failed"
    assert failed.said
