"""Drift in the lake: the command compares what was scored with what the champion was trained on, and with last week."""

import random
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from deltalake import DeltaTable
from typer.testing import CliRunner, Result

from lake import kept_counts
from lake.__main__ import app
from lake.counting import count_rows
from lake.drift_report import drift_points
from lake.live_drift import counts, newest, scored
from lake.maintenance import clean, compact
from lake.place import Place
from lake.rows import DRIFT_COUNTS, SCORES
from ml.drift.alarms import look
from ml.drift.bins import Bins
from ml.drift.counts import BLOCK, ISSUES, Counts, Rows
from ml.drift.policy import DriftPolicy
from ml.drift.reference import DriftReference
from ml.features import DAY, FEATURES
from ml.model import Model
from ml.registry.model_store import ModelStore
from ml.segments import segment_name
from tests.lake.written import START_MS, day_of, some_features, write_scores
from tests.sinks.database import Database

A_DAY, DAYS, SHIFT = 10_000, 9, 8.5
SHIFTED = FEATURES.index("log_amount")
runner = CliRunner()

POLICY = """
scales:
  - {name: hour, minutes: 60, every_minutes: 60, in_a_row: 2, least_rows: 100, least_psi: {last_week: 0.2, training: 0.2},
     least_alerts: 20, least_alert_ratio: 5}
"""


def traffic(seed: int, days: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Times in ms, features, scores of so many days, in which nothing changes."""
    rng = np.random.default_rng(seed)
    n = round(A_DAY * days)
    return np.sort(rng.integers(0, round(days * DAY), n)), some_features(n, seed), rng.random(n) * 0.5


@pytest.fixture(scope="module")
def trained_on_a_week(
    tmp_path_factory: pytest.TempPathFactory, empty_database: Path, small_model: Model
) -> tuple[ModelStore, Model]:
    """A registry, and its champion, whose training's traffic was a week like that of the lake."""
    file = tmp_path_factory.mktemp("registry") / "mlflow.db"
    shutil.copy(empty_database, file)
    registry = ModelStore(f"sqlite:///{file}")
    time, rows, scores = traffic(1, 7)
    segments = np.full(len(time), segment_name("chip", "food"), object)
    made = Rows(START_MS - 7 * DAY + time, rows, scores, segments, np.zeros(len(time), np.bool_))
    stored = replace(small_model, drift_reference=DriftReference.from_rows(FEATURES, made).to_json())
    registry.register(stored, rows[:5])
    registry.promote(1)
    return registry, registry.load(1)


@pytest.fixture
def champion(trained_on_a_week: tuple[ModelStore, Model], monkeypatch: pytest.MonkeyPatch) -> Model:
    """The champion of the registry that the settings name."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", trained_on_a_week[0].uri)
    return trained_on_a_week[1]


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    file = tmp_path / "policy.yaml"
    file.write_text(POLICY)
    return file


def lake_of(folder: Path, shifted: bool, **columns: Any) -> Place:
    place = Place(str(folder / "lake"))
    time, rows, scores = traffic(2, DAYS)
    if shifted:
        rows[time >= SHIFT * DAY, SHIFTED] += 1.5
    write_scores(place, time, rows, anomaly_score=scores, **columns)
    return place


def drift(place: Place, policy: Path, *more: str) -> Result:
    return runner.invoke(app, ["drift", "--lake", place.uri, "--policy", str(policy), *more])


@pytest.mark.usefixtures("champion")
def test_a_shift_is_an_alarm_that_names_it_and_the_exit_status_says_so(tmp_path: Path, policy: Path) -> None:
    done = drift(lake_of(tmp_path, shifted=True), policy, "--json", str(tmp_path / "drift.json"))
    assert done.exit_code == 3, done.output
    rows = [line.split("\t") for line in done.stdout.splitlines()[1:-1]]
    assert {tuple(row[:3]) for row in rows} == {("log_amount", "last week", "hour"), ("log_amount", "training", "hour")}
    assert {row[3] for row in rows} == {"2026-03-10 14:00"}
    assert done.stdout.splitlines()[-1].endswith("2 alarms")
    figures = msgspec.json.decode((tmp_path / "drift.json").read_bytes())
    assert figures["model_version"] == 1
    assert len(figures["look"]["alarms"]) == 2


@pytest.mark.usefixtures("champion")
def test_where_nothing_changes_the_exit_status_is_0(tmp_path: Path, policy: Path) -> None:
    done = drift(lake_of(tmp_path, shifted=False), policy, "--all")
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines()[-1].endswith("no alarms")
    assert {line.split("\t")[0] for line in done.stdout.splitlines()} >= {"log_amount", "segments", "no device_id"}


def test_each_score_is_counted_once_with_what_it_lacks(tmp_path: Path, champion: Model) -> None:
    place = lake_of(tmp_path, shifted=False, device_id=[None] * (A_DAY * DAYS))
    bins = DriftReference.of_model(champion).bins
    found = counts(place, champion, bins, day_of(0), day_of(9))
    assert found.rows.sum() == A_DAY * DAYS
    assert found.blocks[0] == START_MS // BLOCK
    lacking = dict(zip(ISSUES, found.affected.sum(0).tolist(), strict=True))
    assert lacking["no device_id"] == A_DAY * DAYS
    assert (lacking["no channel"], lacking["unknown category"], lacking["late"]) == (0, 0, 0)
    assert counts(place, replace(champion, version=2), bins, day_of(0), day_of(9)).rows.sum() == 0


def test_points_of_drift_are_stored_once(tmp_path: Path, champion: Model, database: Database) -> None:
    """On a real InfluxDB: one a comparison of the newest window."""
    reference = DriftReference.of_model(champion)
    found_counts = counts(lake_of(tmp_path, shifted=True), champion, reference.bins, day_of(0), day_of(9))
    end = START_MS // BLOCK + 9 * DAY // BLOCK
    file = tmp_path / "policy.yaml"
    file.write_text(POLICY)
    found = look(found_counts, reference, DriftPolicy.read(file), end - 60, end)
    with database.sink() as sink:
        sink.write(drift_points(found, "scoreline", 1))
        sink.write(drift_points(found, "scoreline", 1))
    rows = database.query("SELECT psi, is_alarm, what, against FROM model_drift")
    assert len(rows) == len(found.newest)
    assert {(row["what"], row["against"]) for row in rows if row["is_alarm"]} == {
        ("log_amount", "last_week"),
        ("log_amount", "training"),
    }


def test_a_model_without_a_reference_is_an_error_that_names_the_way_out(
    registry: ModelStore,
    small_model: Model,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    policy: Path,
) -> None:
    registry.register(small_model, some_features(5, 0))
    registry.promote(1)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", registry.uri)
    done = drift(lake_of(tmp_path, shifted=False), policy)
    assert done.exit_code == 1
    assert "was stored without what its training's traffic was like: train a new one" in done.stderr


def test_an_extra_is_counted_and_an_unknown_one_is_what_the_model_takes_for_it(tmp_path: Path, champion: Model) -> None:
    place = Place(str(tmp_path / "lake"))
    write_scores(place, np.arange(3), some_features(3, 0), extras=['{"age":40}', '{"age":null}', None])
    aged = replace(champion, extras={"age": 7.0})
    bins = Bins(("age", "anomaly_score"), ((6.5, 7.5, 50.0), (0.5,)), ())
    assert counts(place, aged, bins, day_of(0), day_of(1)).columns[0, 0, :4].tolist() == [0, 2, 1, 0]


def same(found: Counts, wanted: Counts) -> bool:
    """Whether two are the same, but for blocks without a transaction."""
    pairs = zip(found.of(found.rows > 0).arrays, wanted.of(wanted.rows > 0).arrays, strict=True)
    return all(np.array_equal(one, other) for one, other in pairs)


def test_kept_counts_are_those_of_the_rows_whatever_was_done_to_the_lake(tmp_path: Path, champion: Model) -> None:
    bins, days = DriftReference.of_model(champion).bins, random.Random(3)
    place = lake_of(tmp_path, shifted=True)

    def check() -> None:
        since, until = sorted((days.uniform(1, 9), days.uniform(1, 9)))
        for begin, end in ((since, until), (2.0, 2.0 + 1 / 1440), (1.0, 20.0)):
            found = counts(place, champion, bins, day_of(begin), day_of(end))
            assert same(found, count_rows(place, champion, bins, day_of(begin), day_of(end)))

    check()
    time, rows, scores = traffic(7, 9.5)
    write_scores(place, time[:900], rows[:900], anomaly_score=scores[:900], day=[day_of(1).date()] * 900)
    write_scores(place, time[900:], rows[900:], anomaly_score=scores[900:], day=[day_of(2).date()] * (len(time) - 900))
    check()
    compact(place)
    clean(place, hours=0)
    check()
    DeltaTable(place.table(SCORES)).delete("transaction_id = 'T17'")
    check()
    DeltaTable(place.table(SCORES)).delete(f"day = '{day_of(1).date()}'")
    check()


def test_a_call_counts_only_what_came_since_the_last_one(
    tmp_path: Path, champion: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    bins, place = DriftReference.of_model(champion).bins, lake_of(tmp_path, shifted=False)
    read = list[int]()

    def counting(*arguments: Any, **more: Any) -> Counts:
        found = count_rows(*arguments, **more)
        read.append(int(found.rows.sum()))
        return found

    monkeypatch.setattr(kept_counts, "count_rows", counting)
    whole = counts(place, champion, bins, day_of(0), day_of(9))
    assert read == [A_DAY * DAYS]
    time, rows, scores = traffic(7, 0.01)
    write_scores(place, time, rows, anomaly_score=scores)
    more = counts(place, champion, bins, day_of(0), day_of(9))
    assert read == [A_DAY * DAYS, 100]
    assert more.rows.sum() == whole.rows.sum() + 100
    assert same(counts(place, champion, bins, day_of(0), day_of(9)), more)
    assert read == [A_DAY * DAYS, 100]
    assert same(counts(place, champion, bins, day_of(0), day_of(9), recount=True), more)
    assert read[-1] == A_DAY * DAYS + 100


def test_kept_counts_of_another_lake_or_that_are_damaged_are_made_again(tmp_path: Path, champion: Model) -> None:
    bins, place = DriftReference.of_model(champion).bins, lake_of(tmp_path, shifted=False)
    counts(place, champion, bins, day_of(0), day_of(9))
    shutil.rmtree(place.table(SCORES))
    time, rows, _ = traffic(7, 1)
    write_scores(place, time, rows)
    assert counts(place, champion, bins, day_of(0), day_of(9)).rows.sum() == A_DAY
    for file in Path(place.table(DRIFT_COUNTS)).glob("_delta_log/*.json"):
        file.write_text("{")
    assert counts(place, champion, bins, day_of(0), day_of(9)).rows.sum() == A_DAY


def test_the_newest_transaction_is_found_in_whichever_file_it_is(tmp_path: Path) -> None:
    place = Place(str(tmp_path / "lake"))
    assert newest(place) is None
    assert scored(place) == (0, 0, 0)
    for begin in (5, 9, 2):
        write_scores(place, np.array([begin, begin + 1]) * DAY, some_features(2, 0))
    assert newest(place) == day_of(10)
    assert scored(place) == (START_MS + 10 * DAY, 1, 4)
