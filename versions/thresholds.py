"""Which table of thresholds a micro-batch is judged by: polls the topic of tables."""

import logging
from collections.abc import Callable
from contextlib import closing
from typing import Final

import msgspec

from detection.threshold_store import ThresholdStore
from messaging.config import KafkaConfig
from messaging.poller import Poller
from ml.features import DAY
from ml.schema import DIGEST_DIGITS, Reader, Unreadable
from ml.thresholds.table import Table
from versions.compacted_topic import CompactedTopic, publish, refuse_impossible_version

_log = logging.getLogger(__name__)

_POLL_SECONDS: Final = 1.0
_PAUSE_SECONDS: Final = 0.1

_tables: Final = Reader(Table)


def newest_kept(tables: ThresholdStore) -> Table | None:
    """The newest table that is kept; None for none, or where it is damaged: the topic has it, or a later one."""
    try:
        return tables.newest
    except LookupError as error:
        _log.error("%s; until a table is read, the model's own threshold judges", error)
        return None


class ThresholdPoller(Poller):
    """The newest table on the topic for each model; before one is read, the newest that is kept.

    key: the key of our tables, the model's name; None for any.
    """

    def __init__(self, topic: str, kafka: KafkaConfig, kept: Table | None, key: str | None = None) -> None:
        super().__init__(f"the topic {topic}", _PAUSE_SECONDS)
        self._reader = TableReader(topic, kafka, key)
        self._newest: dict[str, Table] = {} if kept is None else {kept.model_digest: kept}

    def current(self, model_digest: str) -> Table | None:
        """The table for a new micro-batch that this model judges; None for the model's own threshold. Never waits."""
        latest = max((table.until for table in self._newest.values()), default=0)
        table = self._newest.get(model_digest[:DIGEST_DIGITS])
        return table if table is not None and table.until > latest - DAY else None

    @property
    def in_use(self) -> str:
        """See `Poller`."""
        versions = sorted(table.version for table in self._newest.values())
        return f"table {versions[-1]}" if versions else "the model's own threshold"

    def look(self) -> None:
        """See `Poller`."""
        for table in self._reader.read(_POLL_SECONDS):
            known = self._newest.get(table.model_digest)
            if known is None or table.version > known.version:
                self._newest = {**self._newest, table.model_digest: table}
                _log.info("table %d of thresholds, for version %d of the model", table.version, table.model_version)

    def _poll(self, wanted: Callable[[], bool]) -> None:
        try:
            super()._poll(wanted)
        finally:
            self._reader.close()


class TableReader(CompactedTopic[Table]):
    """Reads our tables of thresholds. One was made from scores that had come before it."""

    def __init__(self, topic: str, kafka: KafkaConfig, key: str | None = None) -> None:
        super().__init__(topic, kafka, key, "tables of thresholds")

    def record(self, value: bytes | None, came: float) -> Table:
        """See `CompactedTopic`."""
        table = _tables.read(value)
        refuse_impossible_version(table.version, came)
        if not 0 <= table.since <= table.until <= came + DAY:
            raise Unreadable(f"scores from {table.since} to {table.until} can't have been counted by then")
        return table


def newest_table(topic: str, kafka: KafkaConfig, key: str | None = None) -> Table | None:
    """The table with the highest version that the topic holds. Raises `KafkaException`."""
    with closing(TableReader(topic, kafka, key)) as reader:
        return max(reader.read_all(), key=lambda table: table.version, default=None)


def publish_table(topic: str, kafka: KafkaConfig, key: str, table: Table) -> None:
    """Put a table on its topic; see `versions.compacted_topic.publish`. Raises KafkaError."""
    publish(topic, kafka, key, msgspec.json.encode(table))
