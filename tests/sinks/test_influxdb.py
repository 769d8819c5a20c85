import pickle
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sinks.influxdb import InfluxDBSink
from sinks.line_protocol import points
from sinks.sink import SinkRejected, SinkUnavailable
from stack.influxdb import InfluxDB
from tests.sinks.database import Database


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[InfluxDB]:
    """A server that the test may stop."""
    server = InfluxDB(tmp_path / "influxdb")
    server.start()
    yield server
    server.stop()


def test_the_same_points_written_twice_are_counted_once(database: Database) -> None:
    lines = points("m", {"t": ["a", "b"] * 5_000}, {"n": range(10_000)}, range(10_000))
    with database.sink() as sink:
        sink.write(lines)
        sink.write(lines)
    assert database.query("SELECT count(n) FROM m")[0]["count"] == 10_000


def test_a_sink_that_was_pickled_writes_as_well(database: Database) -> None:
    with pickle.loads(pickle.dumps(database.sink())) as sink:
        sink.write(b"m n=1i 1\n")
    assert database.query("SELECT n FROM m") == [{"time": 1, "n": 1}]


def test_a_sink_says_who_it_is_but_not_its_token() -> None:
    assert "secret" not in repr(InfluxDBSink("http://localhost", "b", "o", token="secret"))


def test_a_write_before_setup_is_an_error(database: Database) -> None:
    with pytest.raises(RuntimeError, match="setup"):
        database.sink().write(b"m n=1i 1\n")


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses (s) between tries, which are noted and not waited for: how long the tries take is the machine's."""
    noted: list[float] = []
    monkeypatch.setattr(time, "sleep", noted.append)
    return noted


def test_a_stopped_server_is_tried_for_some_seconds_and_then_reported(
    own_server: InfluxDB, request: pytest.FixtureRequest
) -> None:
    sink = InfluxDBSink(own_server.url, "scoreline/autogen", "scoreline")
    url = own_server.url
    with sink:
        own_server.stop()
        pauses: list[float] = request.getfixturevalue("pauses")
        with pytest.raises(SinkUnavailable, match=f"{url} does not answer .*INFLUXDB_URL"):
            sink.write(b"m n=1i 1\n")
    assert 1 < sum(pauses) < 5


def test_the_same_sink_writes_again_once_the_server_is_back(own_server: InfluxDB) -> None:
    with InfluxDBSink(own_server.url, "scoreline/autogen", "scoreline") as sink:
        sink.write(b"m n=1i 1\n")
        own_server.stop()
        with pytest.raises(SinkUnavailable):
            sink.write(b"m n=2i 2\n")
        own_server.start()
        sink.write(b"m n=2i 2\n")
    assert len(Database(own_server, "scoreline").query("SELECT n FROM m")) == 2


def test_points_that_contradict_a_field_s_type_are_rejected_at_once_in_influxdb_s_own_words(
    database: Database, pauses: list[float]
) -> None:
    with database.sink() as sink:
        sink.write(b"m n=1i 1\n")
        with pytest.raises(SinkRejected, match="field type conflict"):
            sink.write(b'm n="one" 2\n')
    assert not pauses


def test_lines_that_do_not_parse_are_rejected_in_influxdb_s_own_words(database: Database) -> None:
    with database.sink() as sink, pytest.raises(SinkRejected, match="unable to parse 'm n=ten 1'"):
        sink.write(b"m n=ten 1\n")


def test_a_bucket_that_is_not_there_is_rejected_with_the_way_to_mend_it(database: Database) -> None:
    sink = InfluxDBSink(database.server.url, "nowhere/autogen", "scoreline")
    with sink, pytest.raises(SinkRejected, match=r"404 .*nowhere.*create the bucket"):
        sink.write(b"m n=1i 1\n")


def test_points_older_than_the_bucket_keeps_do_not_stop_the_others(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    database.query(f'CREATE RETENTION POLICY short ON "{database.name}" DURATION 1h REPLICATION 1')
    with database.sink("short") as sink:
        sink.write(f"m n=1i 1\nm n=2i {time.time_ns()}\n".encode())
    assert [row["n"] for row in database.query("SELECT n FROM short.m")] == [2]
    assert "beyond retention policy dropped=1" in caplog.text
