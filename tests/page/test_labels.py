"""The page on a real broker: alerts come in, verdicts go out, and neither a kill nor an outage loses or changes one."""

import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from confluent_kafka import Producer
from sqlalchemy import func, select

from messaging.config import KafkaConfig
from ml.label_rule import NOTHING_KNOWN, change, counting
from ml.schema import Event, Label
from page.feed.verdicts import VerdictSender
from page.health import Health
from page.parts import Parts, now_ms
from page.search.wanted import Wanted
from page.store import outbox, verdicts
from page.store.database import Database, open_database
from page.store.tables import alerts
from settings import Settings
from tests.page.scores import encoded, score
from tests.page.test_queue import put
from tests.support.kafka import read_topic


def until(what: Callable[[], object], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def produce(settings: Settings, topic: str, values: list[bytes]) -> None:
    producer = Producer(KafkaConfig.from_settings(settings).for_confluent())
    for value in values:
        producer.produce(topic, value, b"key")
    assert producer.flush(30) == 0


def labels(settings: Settings) -> list[Label]:
    records = read_topic(settings.kafka_bootstrap_servers, settings.labels_topic)
    return [msgspec.json.decode(record.value, type=Label) for record in records]


def number_of_alerts(database: Database) -> int:
    with database.read() as connection:
        return connection.scalar(select(func.count()).select_from(alerts)) or 0


@contextmanager
def started(settings: Settings, folder: Path) -> Iterator[Parts]:
    """The page's feeds over a store in a folder."""
    parts = Parts.of(settings, open_database(f"sqlite:///{folder / 'cases.db'}"))
    parts.start()
    try:
        yield parts
    finally:
        parts.close()


def test_alerts_come_in_once_over_restarts_and_verdicts_reach_the_topic_in_their_order(
    topics: Settings, tmp_path: Path
) -> None:
    with started(topics, tmp_path) as parts:
        early = encoded(*(score(n, lane="early", micro_batch=None) for n in range(20)))
        produce(topics, topics.early_alerts_topic, early)
        produce(topics, topics.alerts_topic, [b"no JSON", *encoded(*map(score, range(30))), b"\xff"])
        produce(topics, topics.scores_topic, encoded(score(1)))
        until(lambda: number_of_alerts(parts.database) == 30)
        until(lambda: parts.recent.of_customer("c1"))
        until(lambda: parts.searches.find(Wanted(customer="c1"), 5))
        event = Event(
            at=datetime.now(UTC), kind="promotion", severity="info", subject="model s", words="version 4 judges"
        )
        produce(topics, topics.events_topic, [b"no event", msgspec.json.encode(event)])
        until(lambda: parts.overview.shown(now_ms()).events == [event])
    with started(topics, tmp_path) as parts:
        assert parts.searches.span().number == 1  # what was kept is there at once
        produce(topics, topics.alerts_topic, encoded(score(30)))
        until(lambda: number_of_alerts(parts.database) == 31)
        with parts.database.begin() as connection:
            numbers = list(connection.execute(select(alerts.c.id).order_by(alerts.c.id)).scalars())
            verdicts.say(connection, numbers[:2], "fraud", "", "anna", now_ms(), "token-1")
            assert verdicts.undo(connection, "anna", now_ms()) is not None
            verdicts.say(connection, numbers[:1], "honest", "", "anna", now_ms(), "token-2")
        until(lambda: len(labels(topics)) == 5)
        by_transaction: dict[str, list[bool | None]] = {}
        for label in labels(topics):
            by_transaction.setdefault(label.transaction_id, []).append(label.is_fraud)
            assert label.source == "analyst"
        assert sorted(by_transaction.values(), key=len) == [[True, None], [True, None, False]]


class Killed(Exception):
    """The process ends between Kafka's answer and the mark."""


def test_a_kill_between_sending_and_marking_sends_the_same_again_and_the_rule_makes_it_harmless(
    topics: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(open_database(f"sqlite:///{tmp_path / 'cases.db'}")) as database:
        put(database, encoded(score(1)))
        with database.begin() as connection:
            verdicts.say(connection, [1], "fraud", "", "anna", now_ms(), "token-1")
        sender = VerdictSender(topics, database, Health(), now_ms)
        with monkeypatch.context() as killed:

            def kill(*_: object) -> None:
                raise Killed

            killed.setattr(outbox, "mark_sent", kill)
            with pytest.raises(Killed):
                sender.send(sender.producer())
        again = VerdictSender(topics, database, Health(), now_ms)
        assert again.send(again.producer()) == 1
        assert again.send(again.producer()) == 0
    found = labels(topics)
    assert [label.is_fraud for label in found] == [True, True]
    assert found[0] == found[1]
    once = change(NOTHING_KNOWN, "analyst", True)
    twice = change(once.known, "analyst", True)
    assert (twice.known, twice.labelled, twice.fraud) == (once.known, 0, 0)
    assert counting(twice.known) == counting(once.known)


def test_without_kafka_verdicts_are_kept_and_the_page_says_so(tmp_path: Path) -> None:
    nowhere = Settings(
        kafka_bootstrap_servers="127.0.0.1:1", log_dir=tmp_path, page_data=tmp_path, watch_folder=tmp_path
    )
    with started(nowhere, tmp_path) as parts:
        put(parts.database, encoded(score(1)))
        with parts.database.begin() as connection:
            verdicts.say(connection, [1], "fraud", "", "anna", now_ms(), "token-1")
        until(lambda: {"alerts", "payments"} <= {part.name for part in parts.health.troubles()})
        until(lambda: parts.pulse.beat().unsent == 1)
        with parts.database.read() as connection:
            assert len(outbox.waiting(connection, 10)) == 1
