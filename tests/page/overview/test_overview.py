"""The overview: figures as they are, and what is not there is said to be so."""

import time
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from httpx import Client

from ml.schema import Event
from page.feed.events import NewestEvents
from page.overview import commands
from page.overview.bars import bars
from page.overview.overview import precision
from page.overview.questions import NoAnswer, Question
from page.overview.servers import servers
from page.overview.watcher import WatcherStatus, watcher_status
from page.store.database import Database
from page.store.figures import HOUR_MS, Hour, by_hour, by_model, tally
from page.store.verdicts import say
from settings import Settings
from tests.page.scores import encoded, score
from tests.page.test_queue import NOW, put
from watch.status import Status
from watch.steps import Entry, Step


def test_figures_are_those_of_the_store(database: Database) -> None:
    put(database, encoded(*(score(n, model_version=3 + n % 2, amount=100.0) for n in range(10))))
    with database.begin() as connection:
        say(connection, [1, 3, 5], "fraud", "", "anna", NOW, "token-1")
        say(connection, [2], "honest", "", "anna", NOW, "token-2")
        say(connection, [4], "unsure", "", "anna", NOW, "token-3")
    with database.read() as connection:
        every = tally(connection)
        assert every[:5] == (10, 5, 3, 1, 1)
        assert every.saved == pytest.approx(300.0)
        assert [(version, of.alerts, of.fraud) for version, of in by_model(connection)] == [(4, 5, 0), (3, 5, 3)]
        hours = by_hour(connection, NOW + 2 * HOUR_MS, 4)
    assert [(hour.alerts, hour.decided) for hour in hours] == [(0, 0), (10, 5), (0, 0), (0, 0)]
    found = precision(every)
    assert (found.value, found.decided) == (0.75, 4)
    assert found.low == pytest.approx(0.194, abs=0.001)


def test_a_page_of_a_store_without_anything_says_what_is_not_there(browser: Client) -> None:
    shown = browser.get("/overview").text
    assert "0 of 0 alerts are open" in shown
    assert "nothing is decided" in shown
    deadline = time.monotonic() + 60
    while "being asked" in (shown := browser.get("/overview?part=rows").text):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert "there is no lake here" in shown
    assert "no watcher has looked yet" in shown
    assert "does not answer" in shown
    assert "data-again" not in shown


def test_bars_stand_on_the_floor_and_within_the_drawing() -> None:
    drawn = bars([Hour(k * HOUR_MS, k * 37, k * 11) for k in range(48)])
    assert len(drawn.bars) == 48
    assert all(bar.y + bar.height == pytest.approx(118, abs=0.2) and bar.y >= 9 for bar in drawn.bars)
    assert all(bar.decided_height <= bar.height for bar in drawn.bars)
    assert 3 <= len(drawn.counts) <= 6
    assert bars([Hour(0, 0, 0)]).counts[-1].text == "1"


def test_the_watchers_status_is_read_as_it_writes_it(tmp_path: Path) -> None:
    with pytest.raises(NoAnswer, match="no watcher has looked yet"):
        watcher_status(tmp_path)
    entry = Entry("1", 5, 6, "done", Step("train", "drift", 4, detector="boosted"), 4, said="version 4")
    written = Status(1, "trial", "more days", 2, 3, champion=3, trial=4, judges=0.5, alarms=("amount",), steps=(entry,))
    (tmp_path / "status.json").write_bytes(msgspec.json.encode(written))
    read = watcher_status(tmp_path)
    ours = msgspec.to_builtins(read)
    theirs = msgspec.to_builtins(written)
    assert {name: theirs[name] for name in ours if name != "steps"} == {n: v for n, v in ours.items() if n != "steps"}
    assert (read.steps[0].step.kind, read.steps[0].said) == ("train", "version 4")
    assert set(WatcherStatus.__struct_fields__) <= set(Status.__struct_fields__)
    (tmp_path / "status.json").write_text("{")
    with pytest.raises(NoAnswer, match="can't be read"):
        watcher_status(tmp_path)


def test_a_question_is_asked_once_at_a_time_and_its_failure_is_words() -> None:
    asked = []

    def ask() -> None:
        asked.append(1)
        time.sleep(0.2)
        raise NoAnswer("there is none")

    question = Question("q", ask, 60.0)
    assert question.answer() == (None, None, "", True)
    question.answer()
    deadline = time.monotonic() + 120
    while (answer := question.answer()).asking:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert (answer.value, answer.trouble, len(asked)) == (None, "there is none", 1)


def test_a_checkpoint_on_which_nothing_has_run_is_said(tmp_path: Path) -> None:
    settings = Settings(checkpoint=str(tmp_path), log_dir=tmp_path)
    with pytest.raises(NoAnswer, match="no query has run"):
        commands.jobs(settings)
    with pytest.raises(NoAnswer, match="no answer within 0"):
        commands.jobs(settings, 0.01)


def test_a_lake_that_can_not_be_read_is_said_and_an_empty_one_has_no_model(tmp_path: Path) -> None:
    assert commands.quality(Settings(lake=str(tmp_path / "nothing"), log_dir=tmp_path)) == []
    log = tmp_path / "scores" / "_delta_log"
    log.mkdir(parents=True)
    (log / f"{0:020}.json").write_text("{")
    with pytest.raises(NoAnswer, match="can't be read"):
        commands.quality(Settings(lake=str(tmp_path), log_dir=tmp_path))


def test_servers_that_are_not_there_are_unavailable_and_no_password_is_shown(tmp_path: Path) -> None:
    settings = Settings(
        serve_port=1,
        metrics_port=0,
        influxdb_url="http://user:hunter2@127.0.0.1:1",
        mlflow_tracking_uri=f"sqlite:///{tmp_path}/x.db",
    )
    found = {one.name: one for one in servers(settings)}
    assert [found[name].state for name in ("service", "metrics of the job", "InfluxDB", "MLflow")] == [
        "unavailable",
        "none",
        "unavailable",
        "none",
    ]
    assert "hunter2" not in str(found)


def test_events_are_shown_newest_first_and_bounded() -> None:
    kept = NewestEvents()
    for number in range(100):
        at = datetime.fromtimestamp(number, UTC)
        kept.add(Event(at=at, kind="drift", severity="warning", subject="model s", words=f"number {number}"))
    assert [event.words for event in kept.newest()][:2] == ["number 99", "number 98"]
    assert len(kept.newest()) == 50
