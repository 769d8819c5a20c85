"""Live quality from the lake: the joined labels give what is right, in the table, in JSON and in a real InfluxDB."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest
from typer.testing import CliRunner

from lake.__main__ import app
from lake.live_quality import Row, live_quality
from lake.place import Place
from lake.quality_report import quality_points
from ml.features import DAY
from ml.quality.reserve import in_reserve
from stack.local import Stack
from tests.lake.written import START, day_of, some_features, write_labels, write_scores
from tests.sinks.database import Database

DAYS, N, SHARE = 30, 30_000, 0.01
runner = CliRunner()


class Written:
    """A month of one model, and of another from its twentieth day on; one in fifty is fraud, of which 70 % are alerted."""

    def __init__(self, place: Place) -> None:
        rng = np.random.default_rng(4)
        self.time = np.sort(rng.integers(0, DAYS * DAY, N))
        self.fraud = rng.random(N) < 0.02
        self.alert = np.where(self.fraud, rng.random(N) < 0.7, rng.random(N) < 0.01)
        version = np.where(self.time < 20 * DAY, 1, 2).astype(np.int32)
        write_scores(place, self.time, some_features(N, 5), is_anomaly=self.alert, model_version=version)
        self.reserved = in_reserve([f"T{number}" for number in range(N)], SHARE) & ~self.alert
        due = self.time + (DAY * np.where(self.alert, 0.3, 6.0) * np.exp(0.8 * rng.standard_normal(N))).astype(np.int64)
        reported = self.fraud & (self.alert | (rng.random(N) > 0.3))
        labels = [(due[row], row, "chargeback", True) for row in np.flatnonzero(reported)]
        labels += [(due[row], row, "analyst", bool(self.fraud[row])) for row in np.flatnonzero(self.alert)]
        labels += [
            (self.time[row] + 60_000, row, "analyst", bool(self.fraud[row])) for row in np.flatnonzero(self.reserved)
        ]
        labels.sort()
        times, rows, sources, verdicts = zip(*labels, strict=True)
        write_labels(place, np.array(rows), np.array(times), list(sources), list(verdicts))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return Place(str(tmp_path_factory.mktemp("quality") / "lake"))


@pytest.fixture(scope="module")
def written(place: Place) -> Written:
    return Written(place)


@pytest.fixture(scope="module")
def rows(place: Place, written: Written) -> list[Row]:  # noqa: ARG001
    return live_quality(place, SHARE)


def of(rows: list[Row], version: int, day: str | None = None) -> Row:
    return next(row for row in rows if (row.model_version, row.day) == (version, day))


def test_each_model_has_all_its_days_the_newest_first(rows: list[Row]) -> None:
    days = [(row.model_version, row.day) for row in rows]
    assert days[:3] == [(2, None), (2, "2026-03-31"), (2, "2026-03-30")]
    assert sum(version == 1 for version, _ in days) == 21
    assert sum(version == 2 for version, _ in days) == 11


def test_counts_are_those_of_the_transactions(rows: list[Row], written: Written) -> None:
    first = written.time < 20 * DAY
    whole = of(rows, 1).quality
    assert (whole.transactions, whole.alerts) == (first.sum(), written.alert[first].sum())
    assert whole.reviewed == written.reserved[first].sum()
    assert whole.known_caught == (written.alert & written.fraud)[first].sum()


def test_ripeness_falls_with_the_days_and_the_estimates_cover_the_truth(rows: list[Row], written: Written) -> None:
    young, old = of(rows, 2, "2026-03-30").quality, of(rows, 1, "2026-03-05").quality
    assert (young.ripeness or 0) < 0.9 < (old.ripeness or 0)
    for version, here in ((1, written.time < 20 * DAY), (2, written.time >= 20 * DAY)):
        found = of(rows, version).quality
        recall = written.alert[here & written.fraud].mean()
        assert found.recall_of_all.low is not None
        assert found.recall_of_all.high is not None
        assert found.recall_of_all.low <= recall <= found.recall_of_all.high
        precision = written.fraud[here & written.alert].mean()
        assert found.precision.value == pytest.approx(precision, abs=0.04)


def test_what_came_later_does_not_count_as_of_an_earlier_day(place: Place, written: Written) -> None:
    early = live_quality(place, SHARE, day_of(10))
    assert {row.model_version for row in early} == {1}
    assert early[0].quality.transactions == (written.time <= 10 * DAY).sum()
    assert (early[0].quality.ripeness or 0) < 0.95


def test_the_table_and_the_json_say_the_same(place: Place, rows: list[Row], tmp_path: Path) -> None:
    file = tmp_path / "quality.json"
    done = runner.invoke(
        app, ["quality", "--lake", place.uri, "--review-share", str(SHARE), "--json", str(file), "--days", "2"]
    )
    assert done.exit_code == 0, done.output
    lines = [line.split("\t") for line in done.stdout.splitlines()]
    assert [line[:2] for line in lines[:3]] == [["model", "day"], ["scoreline 2", "all"], ["scoreline 2", "2026-03-31"]]
    assert len(lines) == 1 + 2 * 3
    assert msgspec.json.decode(file.read_bytes(), type=list[Row]) == rows


def test_points_written_again_are_the_same_points(database: Database, rows: list[Row]) -> None:
    """On a real InfluxDB: one a model and day, at the day's beginning."""
    with database.sink() as sink:
        sink.write(quality_points(rows))
        sink.write(quality_points(rows))
    found = database.query("SELECT recall, recall_low, transactions, model_version FROM model_quality")
    assert len(found) == sum(row.day is not None for row in rows)
    day = next(row for row in found if row["time"] == (int(START.timestamp()) + 86_400) * 10**9)
    expected = of(rows, 1, "2026-03-03").quality
    assert day["recall"] == pytest.approx(expected.recall.value)
    assert day["recall_low"] == pytest.approx(expected.recall.low)
    assert day["transactions"] == expected.transactions


def test_the_command_writes_the_points(stack: Stack, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    for own in _database(stack):
        monkeypatch.setenv("INFLUXDB_URL", own.server.url)
        monkeypatch.setenv("INFLUXDB_BUCKET", f"{own.name}/autogen")
        done = runner.invoke(app, ["quality", "--lake", place.uri, "--influxdb"])
        assert done.exit_code == 0, done.output
        assert own.query("SELECT count(transactions) FROM model_quality")[0]["count"] > 20


def _database(stack: Stack) -> Iterator[Database]:
    stack.influxdb.create_database("quality_command")
    yield Database(stack.influxdb, "quality_command")
    stack.influxdb.drop_database("quality_command")


def test_the_review_lists_the_reserve_that_no_analyst_has_seen(tmp_path: Path) -> None:
    place = Place(str(tmp_path / "lake"))
    alert = np.arange(2_000) % 50 == 0
    write_scores(place, np.arange(2_000) * 1000, some_features(2_000, 1), is_anomaly=alert)
    reserved = np.flatnonzero(in_reserve([f"T{number}" for number in range(2_000)], SHARE) & ~alert)
    write_labels(place, reserved[:3], np.full(3, DAY), ["analyst"] * 3, [False] * 3)
    arguments = [
        "review",
        "--lake",
        place.uri,
        "--review-share",
        str(SHARE),
        "--from",
        "2026-03-02",
        "--to",
        "2026-03-03",
    ]
    done = runner.invoke(app, arguments)
    assert done.exit_code == 0, done.output
    assert [line.split("\t")[0] for line in done.stdout.splitlines()[1:]] == [f"T{row}" for row in reserved[3:]]


def test_an_empty_lake_has_no_quality(tmp_path: Path) -> None:
    assert live_quality(Place(str(tmp_path / "none"))) == []
