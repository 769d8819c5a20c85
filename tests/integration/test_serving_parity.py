"""The service under hostile traffic, kills, promotions and new tables: all that it said is what one fold makes of the log."""

import itertools
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from messaging.config import KafkaConfig
from ml.features.currencies import default_rates
from ml.model import Model
from ml.registry.model_store import ModelStore
from ml.schema import DIGEST_DIGITS
from ml.thresholds.table import Table
from settings import Settings
from tests.integration.service import Service
from tests.integration.traffic import send
from torture.caller import Caller
from torture.early import EarlyAccount, EarlyFigures, lines
from torture.hostile import kinds
from torture.reference import Limits, expected
from torture.topics import Spool, log_of, records
from torture.traffic import Message, Payments, message
from versions.thresholds import publish_table

PIECES, A_PIECE = 12, 400
TABLES = {1: 0.52, 2: 0.57}
"""Thresholds for all segments, by the version of their table."""


def hostile_traffic(seed: int) -> Iterator[Message]:
    """Payments of now, one in ten replaced by what is made of it to do harm."""
    payments, rng, makers = Payments(seed), np.random.default_rng(seed), list(kinds(Path("none")).values())
    while True:
        payment = payments.next(int(time.time() * 1000), 0.0)
        if rng.random() < 0.1:
            yield from makers[int(rng.integers(len(makers)))](payment, rng)
        else:
            yield message(payment)


def accounted(settings: Settings, models: list[Model], answers: Path, folder: Path) -> tuple[EarlyFigures, int]:
    """What the service alerted and answered against one fold along the log, and how many records that has."""
    log = log_of(settings.kafka_bootstrap_servers, settings.transactions_topic, folder)
    n = len(log.offset)
    limits = Limits(settings.max_transaction_bytes, settings.max_future_hours, default_rates())
    by_version = {model.version: model for model in models}
    reference = expected(log, np.zeros(n, np.int64), np.ones(n, np.int64), by_version, limits)
    account = EarlyAccount(reference, by_version.__getitem__, TABLES)
    for found in records(settings.kafka_bootstrap_servers, settings.early_alerts_topic):
        account.take_alerts(each.value() or b"" for each in found)
    account.take_answers(lines(answers.read_bytes()))
    for spool in (log.keys, log.values):
        assert isinstance(spool, Spool)
        spool.close()
    return account.figures, n


def announce(settings: Settings, version: int, model: Model) -> None:
    """A new table of thresholds for a model."""
    now = int(time.time() * 1000)
    digest = model.digest[:DIGEST_DIGITS]
    table = Table(version, model.version, now - 1_000, now, 0, TABLES[version], {}, digest)
    publish_table(settings.thresholds_topic, KafkaConfig.from_settings(settings), settings.model_name, table)


def test_alerts_and_answers_are_one_folds_through_hostile_records_kills_promotions_and_tables(
    settings: Settings, models: list[Model], registry: ModelStore, tmp_path: Path
) -> None:
    settings = settings.model_copy(update={"adaptive_thresholds": True})
    sent = hostile_traffic(seed=101)
    folder, answers = tmp_path / "one", tmp_path / "answers.jsonl"
    service = Service(settings, folder).wait_until_ready()
    port, caller = str(service.port), Caller(f"http://127.0.0.1:{service.port}", answers, 101)
    try:
        caller.start()
        for piece in range(PIECES):
            send(settings, list(itertools.islice(sent, A_PIECE)))
            time.sleep(0.7)
            if piece in (3, 8):
                registry.promote(2 if piece == 3 else 1)
            if piece in (5, 10):
                announce(settings, *((1, models[1]) if piece == 5 else (2, models[0])))
            if piece in (2, 6, 9):
                service.kill()
                service = Service(settings, folder, "--serve-port", port)
                service.port = int(port)
                service.wait_until_ready()
        deadline = time.monotonic() + 120
        while (caller.called.repeated == 0 or answers.read_bytes().count(b"\n") < 150) and time.monotonic() < deadline:
            time.sleep(0.2)
        caller.ended.set()
        caller.join(30)
        assert service.stop() == 0
    finally:
        caller.ended.set()
        if service.process.poll() is None:
            service.kill()
    found, count = accounted(settings, models, answers, tmp_path)
    called = caller.called
    assert found.right, found.examples
    assert (called.failed, called.contradicted, found.sent_twice) == (0, 0, 0), caller.examples
    assert count > PIECES * A_PIECE
    assert found.alerts > 50
    assert found.answers > 100
    assert called.repeated > 0
    said = lines(answers.read_bytes())
    assert {answer["model_version"] for answer in said} == {1, 2}
    assert {answer["threshold_version"] for answer in said} >= {0, 1}
