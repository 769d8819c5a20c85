"""Points are read back from the real InfluxDB: each with its record's place."""

import uuid
from collections.abc import Iterator

import numpy as np
import pytest

from stack.local import Stack
from tests.sinks.database import Database
from torture import points as module
from torture.points import points

TIME = 1_790_000_000_000


@pytest.fixture
def database(stack: Stack) -> Iterator[Database]:
    name = f"t{uuid.uuid4().hex[:12]}"
    stack.influxdb.create_database(name)
    yield Database(stack.influxdb, name)
    stack.influxdb.drop_database(name)


def test_each_point_has_the_place_of_its_record_and_its_values(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = [(0, 5), (1, 5), (0, 1_000_005), (2, 3_999_999)]
    lines = [
        f"transaction_score,partition={p},lap={o // 10**6},channel=a\\,b\\ c "
        f'anomaly_score=0.{k + 1}234567890123456,threshold=0.5,is_anomaly={"true" if k else "false"},transaction_id="x,\\"y" '
        f"{(TIME + k // 3) * 10**6 + o % 10**6}"
        for k, (p, o) in enumerate(places)
    ]
    lines += [f"transaction_score anomaly_score=0.5,threshold=0.5,is_anomaly=true {TIME * 10**6}"]
    with database.sink() as sink:
        sink.write("\n".join(lines).encode())
        sink.write("\n".join(lines).encode())
    monkeypatch.setattr(module, "AT_ONCE", 2)
    times = np.array([TIME, TIME, TIME, TIME + 1], np.int64)
    found = list(points(database.server.url, database.name, times))
    rows = sorted(
        (p, o, t - TIME, score, anomaly)
        for piece in found
        for p, o, t, score, _, anomaly in zip(*(column.tolist() for column in piece), strict=True)
    )
    assert rows == [
        (-1, 0, 0, 0.5, True),
        (0, 5, 0, 0.1234567890123456, False),
        (0, 1_000_005, 0, 0.3234567890123456, True),
        (1, 5, 0, 0.2234567890123456, True),
        (2, 3_999_999, 1, 0.4234567890123456, True),
    ]
    assert all(piece.threshold.tolist() == [0.5] * len(piece.offset) for piece in found)


def test_an_empty_database_has_no_points(database: Database) -> None:
    assert list(points(database.server.url, database.name, np.array([TIME], np.int64))) == []
