"""Reads all that a job has written, and accounts for it."""

from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import numpy as np
from confluent_kafka import Consumer, TopicPartition

from messaging.config import KafkaConfig
from messaging.headers import headers_of
from ml.features.currencies import Rates, default_rates
from ml.registry.model_store import ModelStore
from settings import Settings
from torture.accounting import Account, Letter
from torture.batches import Entry, assigned, ranges_in, restored, versions_of
from torture.checkpoint import Ends
from torture.figures import Figures
from torture.points import points
from torture.reference import Expected, Limits, Log, expected
from torture.topics import Spool, log_of, records


def audit(
    settings: Settings,
    entries: Sequence[Entry],
    registry: ModelStore,
    folder: Path,
    more: Callable[[Expected], None] = lambda expected: None,
) -> Figures:
    """Account for every record of the transactions topic; keys and values are kept in a file in `folder` meanwhile.

    more: what else is compared with the reference.
    """
    log = log_of(settings.kafka_bootstrap_servers, settings.transactions_topic, folder)
    try:
        return _accounted(settings, entries, registry, log, more)
    finally:
        for spool in (log.keys, log.values):
            assert isinstance(spool, Spool)
            spool.close()


def _accounted(
    settings: Settings, entries: Sequence[Entry], registry: ModelStore, log: Log, more: Callable[[Expected], None]
) -> Figures:
    entries = completed(settings, entries, Path(settings.checkpoint) / "ledger")
    reference = reference_of(log, entries, registry, settings)
    more(reference)
    account = Account(log, reference)
    for topic, alerts in ((settings.scores_topic, False), (settings.alerts_topic, True)):
        for messages in records(settings.kafka_bootstrap_servers, topic):
            account.take_scores([message.value() or b"" for message in messages], alerts)
    for messages in records(settings.kafka_bootstrap_servers, settings.invalid_topic):
        account.take_letters([Letter(m.key(), m.value(), {n: v or b"" for n, v in headers_of(m)}) for m in messages])
    for found in points(settings.influxdb_url, settings.influxdb_bucket.split("/")[0], log.kafka_time):
        account.take_points(found)
    return account.figures()


def completed(settings: Settings, entries: Sequence[Entry], ledger: Path) -> list[Entry]:
    """The entries, with those that the ledger merged before they were seen: restored from the scores."""
    there = {entry.micro_batch for entry in entries}
    missing = set(range(max(there, default=-1) + 1)) - there
    if not missing:
        return list(entries)
    places: list[np.ndarray] = [np.zeros((0, 3), np.int64)]
    for messages in records(settings.kafka_bootstrap_servers, settings.scores_topic):
        found = [_place(message.value() or b"{}") for message in messages]
        places.append(np.array([(f.partition, f.offset, f.micro_batch) for f in found], np.int64).reshape(-1, 3))
    again = restored(ranges_in(ledger), *np.concatenate(places).T.copy())
    together = {entry.micro_batch: entry for entry in again if entry.micro_batch in missing}
    together |= {entry.micro_batch: entry for entry in entries}
    return [together[number] for number in sorted(together)]


class _Place(msgspec.Struct):
    partition: int = -1
    offset: int = -1
    micro_batch: int = -1


_place = msgspec.json.Decoder(_Place).decode


def reference_of(log: Log, entries: Sequence[Entry], registry: ModelStore, settings: Settings) -> Expected:
    """What the reference says of a log; records that no entry of the ledger holds come last, by the last model."""
    micro_batches = assigned(log.partition, log.offset, entries)
    versions = versions_of(micro_batches, entries)
    micro_batches = np.where(micro_batches < 0, np.iinfo(np.int64).max, micro_batches)
    versions = np.where(versions < 0, entries[-1].model_version if entries else registry.champion(), versions)
    models = {version: registry.load(version) for version in np.unique(versions).tolist()}
    rates = default_rates() if settings.currency_rates is None else Rates.read(settings.currency_rates)
    limits = Limits(settings.max_transaction_bytes, settings.max_future_hours, rates)
    return expected(log, micro_batches, versions, models, limits)


def ends_of(settings: Settings, *topics: str) -> Ends:
    """Where topics end for a reader of committed records."""
    kafka = KafkaConfig.from_settings(settings)
    consumer = Consumer(kafka.for_confluent_consumer() | {"group.id": "torture", "log_level": 2})
    try:
        found: Ends = {}
        for topic in topics:
            numbers = consumer.list_topics(topic, timeout=30).topics[topic].partitions
            marks = {n: consumer.get_watermark_offsets(TopicPartition(topic, n), timeout=30) for n in numbers}
            found[topic] = {str(number): mark[1] for number, mark in marks.items() if mark}
        return found
    finally:
        consumer.close()
