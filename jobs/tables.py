"""Which table of thresholds a micro-batch is judged by: follows the topic of tables, and keeps those that are used."""

import hashlib
import logging
import re
from collections import OrderedDict
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from typing import Any, Final

import msgspec
from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from jobs.follower import Follower
from jobs.storage import DurableFolder
from ml.schema import DIGEST_DIGITS
from ml.thresholds.table import Table

_log = logging.getLogger(__name__)

_POLL_MS: Final = 1_000
_PAUSE_SECONDS: Final = 0.1
_SEND_SECONDS: Final = 30.0

_KEPT: Final = re.compile(f"[0-9]+-[0-9a-f]{{{DIGEST_DIGITS}}}.json")
_LOADED: Final = 16


class KeptTables:
    """Tables in use, kept beside the checkpoint, so that neither a restart nor a replay depends on the topic.

    Each is a file named by its version and by what it is: a topic that was made anew gives the same versions again.
    """

    def __init__(self, folder: DurableFolder) -> None:
        self._folder = folder
        self._loaded: OrderedDict[str, Table] = OrderedDict()

    def table(self, version: int, digest: str) -> Table:
        """A table that is kept. Raises LookupError where it is not, or where its file is not what its name says."""
        name = f"{version}-{digest}.json"
        if name not in self._loaded:
            content = self._folder.read(name)
            if content is None:
                raise LookupError(
                    f"the checkpoint lacks the table of thresholds {version} ({digest}) that its ledger names"
                )
            if _digest(content) != digest:
                raise LookupError(
                    f"the table of thresholds {version} beside the checkpoint is not {digest}: it is damaged"
                )
            self._loaded[name] = msgspec.json.decode(content, type=Table)
            if len(self._loaded) > _LOADED:
                self._loaded.popitem(last=False)
        return self._loaded[name]

    def keep(self, table: Table) -> str:
        """Keep a table that is about to be used, if it is not kept yet; returns its digest."""
        content = msgspec.json.encode(table)
        digest = _digest(content)
        name = f"{table.version}-{digest}.json"
        if name not in self._loaded:
            if self._folder.read(name) != content:
                self._folder.delete(name)
                self._folder.write(name, content)
            self.table(table.version, digest)
        return digest

    @property
    def newest(self) -> Table | None:
        """The highest version that is kept."""
        kept = [name.removesuffix(".json").split("-") for name in self._folder.names() if _KEPT.fullmatch(name)]
        newest = max(((int(version), digest) for version, digest in kept), default=None)
        return None if newest is None else self.table(*newest)

    def purge(self, named: AbstractSet[str], most: int) -> bool:
        """Delete at most so many tables that are not named, as VERSION-DIGEST; returns whether more are left.

        The newest stays."""
        names = [name for name in self._folder.names() if _KEPT.fullmatch(name)]
        newest = max(names, key=lambda name: int(name.split("-")[0]), default=None)
        unnamed = [name for name in names if name != newest and name.removesuffix(".json") not in named]
        for name in unnamed[:most]:
            self._folder.delete(name)
        return len(unnamed) > most


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:DIGEST_DIGITS]


class TableFollower(Follower):
    """The newest table on the topic; before anything is heard from it, the newest that is kept."""

    def __init__(self, topic: str, client_options: dict[str, Any], kept: Table | None) -> None:
        super().__init__(f"the topic {topic}", _PAUSE_SECONDS)
        self._topic = topic
        self._options = client_options
        self._consumer: KafkaConsumer | None = None
        self._current = kept

    def current(self, model_digest: str) -> Table | None:
        """The table for a new micro-batch that this model judges; None for the model's own threshold. Never waits."""
        table = self._current
        return table if table is not None and table.model_digest == model_digest[:DIGEST_DIGITS] else None

    @property
    def in_use(self) -> str:
        """See `Follower`."""
        return "the model's own threshold" if self._current is None else f"table {self._current.version}"

    def look(self) -> None:
        """See `Follower`."""
        if self._consumer is None:
            self._consumer = reader(self._topic, self._options)
        for table in _tables(self._consumer.poll(_POLL_MS)):
            if self._current is None or table.version > self._current.version:
                self._current = table
                _log.info("table %d of thresholds, for version %d of the model", table.version, table.model_version)

    def _follow(self, wanted: Callable[[], bool]) -> None:
        try:
            super()._follow(wanted)
        finally:
            if self._consumer is not None:
                self._consumer.close()


def reader(topic: str, client_options: dict[str, Any]) -> KafkaConsumer:
    """A consumer at the beginning of all of a topic's partitions. Raises KafkaError."""
    consumer = KafkaConsumer(**client_options, group_id=None, enable_auto_commit=False)
    try:
        partitions = [TopicPartition(topic, number) for number in consumer.partitions_for_topic(topic) or ()]
        consumer.assign(partitions)
        consumer.seek_to_beginning(*partitions)
    except BaseException:
        consumer.close()
        raise
    return consumer


def newest_table(topic: str, client_options: dict[str, Any]) -> Table | None:
    """The newest table that the topic holds. Raises KafkaError."""
    consumer = reader(topic, client_options)
    try:
        ends = consumer.end_offsets(list(consumer.assignment()))
        newest: Table | None = None
        while any(consumer.position(partition) < end for partition, end in ends.items()):
            for table in _tables(consumer.poll(_POLL_MS)):
                newest = table if newest is None or table.version > newest.version else newest
        return newest
    finally:
        consumer.close()


def publish_table(topic: str, client_options: dict[str, Any], key: str, table: Table) -> None:
    """Put a table on its topic, durably; compaction keeps a key's newest. Raises KafkaError."""
    producer = KafkaProducer(**client_options, acks="all")
    try:
        producer.send(topic, key=key.encode(), value=msgspec.json.encode(table)).get(_SEND_SECONDS)
    finally:
        producer.close()


def _tables(polled: dict[TopicPartition, list[Any]]) -> list[Table]:
    """The tables among polled records; others' records on the topic are left out, and told."""
    found = []
    for record in (record for records in polled.values() for record in records):
        try:
            found.append(msgspec.json.decode(record.value, type=Table))
        except (msgspec.MsgspecError, TypeError) as error:
            _log.error("left out offset %d of %s: no table of thresholds (%s)", record.offset, record.topic, error)
    return found
