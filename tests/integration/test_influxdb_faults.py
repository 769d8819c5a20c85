"""InfluxDB hangs, refuses the token, or refuses requests for their size: alerts go on, and the panels fill in later."""

import re
import time
from collections.abc import Callable, Iterator

import pytest

from settings import Settings
from stack.local import Stack
from tests.integration.application import Application
from tests.integration.traffic import messages, send, traffic
from tests.sinks.database import Database
from tests.support.faulty_influxdb import FaultyInfluxDB
from tests.support.kafka import count_records

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]

Start = Callable[..., Application]

SCORES_SECONDS = 30.0


@pytest.fixture
def influxdb(stack: Stack) -> Iterator[FaultyInfluxDB]:
    with FaultyInfluxDB(stack.influxdb.url) as faulty:
        yield faulty


def test_whatever_influxdb_answers_scores_come_and_each_is_a_point_in_the_end(
    settings: Settings, stack: Stack, influxdb: FaultyInfluxDB, start: Start
) -> None:
    settings = settings.model_copy(update={"influxdb_url": influxdb.url, "publish_interval_seconds": 1.0})
    database = Database(stack.influxdb, settings.influxdb_bucket.split("/")[0])
    faults = {
        0: "InfluxDB at .* does not answer",
        401: "answered 401 .* set INFLUXDB_TOKEN",
        413: "answered 413 .* max-body-size",
        500: "answered 500",
    }

    def points() -> int:
        rows = database.query("SELECT count(anomaly_score) FROM transaction_score")
        return int(rows[0]["count"]) if rows else 0

    application = start(settings)
    whole, sent = messages(traffic(6_000, customers=200, seed=95)), 0

    def send_and_wait(count: int) -> None:
        nonlocal sent
        send(settings, whole[sent : sent + count])
        sent += count
        application.wait_until(
            lambda: count_records(settings.kafka_bootstrap_servers, settings.scores_topic) >= sent,
            "the scores",
            300 if sent == count else SCORES_SECONDS,
        )

    send_and_wait(500)
    application.wait_until(lambda: points() == sent, "the first points")
    for answer, words in faults.items():
        influxdb.behave(answer)
        refused = influxdb.refused.get(answer, 0)
        before = points()
        send_and_wait(60)  # fewer than may be refused one by one
        application.wait_until(
            lambda answer=answer, refused=refused: influxdb.refused.get(answer, 0) > refused, "a try"
        )
        send_and_wait(500)
        application.wait_until(lambda words=words: matches(words, application.output), f"a line on {answer}", 60)
        assert points() == before
        influxdb.behave()
        application.wait_until(lambda: points() == sent, f"the points after {answer}", 120)
    influxdb.behave(most_bytes=20_000)
    send_and_wait(1_000)
    application.wait_until(lambda: points() == sent, "the points, in small requests", 120)
    assert influxdb.refused[413] > 2
    assert "Traceback" not in application.output
    begin = time.monotonic()
    influxdb.behave(0)
    send_and_wait(60)
    assert application.stop() == 0
    assert time.monotonic() - begin < SCORES_SECONDS + 30


def matches(words: str, output: str) -> bool:
    return re.search(words, output) is not None
