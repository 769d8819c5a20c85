"""The thresholds query: scores from Kafka → tables of thresholds, on a compacted topic."""

import functools
import logging
import sys
import zlib
from pathlib import Path
from typing import Final

if not __package__:  # spark-submit runs this file as a script, and knows only the folder that it stands in
    sys.path[0] = str(Path(__file__).resolve().parent.parent)
    from jobs.runtime.orphan import end_with_parent

    end_with_parent()

import msgspec
import numpy as np
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.streaming import StreamingQuery

from detection.model_versions import ModelVersions
from detection.storage import decoded
from jobs.declared_extras import declared_in, model_store
from jobs.preflight import check_kafka
from jobs.recoveries import RECOVERIES
from jobs.runtime.application import run
from jobs.runtime.gate import Gate
from jobs.runtime.settling import SparkFiles, wait
from jobs.runtime.start import start_at_intervals
from jobs.runtime.storage import DurableFolder
from jobs.score_counts import ROWS, Counted, ScoreCounts, added_up, unknown
from jobs.source.input_topics import InputTopics
from jobs.source.stream import stream
from messaging.config import KafkaConfig
from ml.features import DAY
from ml.registry.model_store import ModelRefused
from ml.thresholds.counts import BLOCK, BLOCKS_A_DAY, COUNT
from ml.thresholds.reference import Reference
from ml.thresholds.table import Table, table_at
from settings import Settings
from versions.thresholds import TableReader, publish_table

QUERY: Final = "thresholds"

_STATE: Final = "counts-by-model"

_log = logging.getLogger(__name__)


def main() -> int:
    settings = Settings.from_command_line()
    topics = settings.scores_topic, settings.thresholds_topic
    return run(settings, {QUERY: start}, RECOVERIES, [functools.partial(check_kafka, settings, *topics)])


def start(spark: SparkSession, settings: Settings, gate: Gate) -> StreamingQuery:
    """Start the query from its checkpoint, or with the oldest score that Kafka still has."""
    inputs = InputTopics(spark, settings, QUERY, [settings.scores_topic], settings.thresholds_accept_data_loss)
    with inputs.starting():
        maker = TableMaker(spark, settings, gate, inputs)
        interval = settings.thresholds_interval_seconds
        query = start_at_intervals(scores(spark, settings), gate, QUERY, maker.write, settings, interval)
    inputs.watch(query)
    return query


def scores(spark: SparkSession, settings: Settings) -> DataFrame:
    """The scores topic: value, and time (ms) at which Kafka took the score in."""
    most, accept_loss = 4 * settings.max_offsets_per_trigger, settings.thresholds_accept_data_loss
    records = stream(spark, settings, settings.scores_topic, most=most, accept_loss=accept_loss)
    return records.select("value", F.unix_millis("timestamp").alias("time"))


class Seen(msgspec.Struct, frozen=True):
    """The scores of one model: their latest Kafka time (ms), the bytes of (m,) COUNT, the version that people know it by."""

    latest: int
    counts: bytes
    version: int

    def with_more(self, more: Counted) -> "Seen":
        """With further scores; what is too old to count for any later table is left out."""
        together = Counted(np.frombuffer(self.counts, COUNT), self.latest) + more
        oldest = together.latest // BLOCK - BLOCKS_A_DAY
        kept = together.counts[together.counts["block"] >= oldest]
        return Seen(together.latest, kept.tobytes(), more.version)


_NOTHING: Final = Seen(0, b"", 0)


class State(msgspec.Struct, frozen=True):
    """What the query keeps: the last micro-batch that is counted, the counts by digest of the model, the last table."""

    micro_batch: int
    seen: dict[str, Seen]
    table: Table | None


def _unpacked(content: bytes) -> State:
    return msgspec.msgpack.decode(zlib.decompress(content), type=State)


class TableMaker:
    """What a micro-batch goes through: its scores are counted by the tasks, and the table that follows is published.

    The state is durable before the micro-batch is done. One that is run again after it was written changes nothing; one
    that is run again before comes to the same table, and publishes it once more.
    """

    def __init__(self, spark: SparkSession, settings: Settings, gate: Gate, inputs: InputTopics) -> None:
        self._settings = settings
        self._inputs = inputs
        self._gate = gate
        self._kafka = KafkaConfig.from_settings(settings)
        self._folder = DurableFolder(spark, f"{settings.checkpoint}/{QUERY}-state")
        self._spark_files = SparkFiles(DurableFolder(spark, f"{settings.checkpoint}/{QUERY}").local)
        registry = model_store(settings, declared_in(settings))
        self._models = ModelVersions(registry, DurableFolder(spark, f"{settings.checkpoint}/models"))
        self._tables = TableReader(settings.thresholds_topic, self._kafka, settings.model_name)
        self._on_topic: Table | None = None
        self._references: dict[str, Reference | None] = {}
        content = self._folder.read_newest(_STATE)
        self._state = None if content is None else decoded(content, f"{QUERY}-state/{_STATE}", _unpacked)

    def write(self, records: DataFrame, micro_batch: int) -> None:
        """Count a micro-batch's scores, and publish a table where its thresholds differ from the last one's."""
        self._gate.enter(QUERY, micro_batch)
        state = self._state or State(-1, {}, None)
        if micro_batch <= state.micro_batch:
            return
        self._inputs.check()
        self._inputs.report_losses(micro_batch)
        newest = self._newest_on_topic()
        seen = state.seen | {
            digest: state.seen.get(digest, _NOTHING).with_more(more) for digest, more in self._counted(records).items()
        }
        latest = max((of_model.latest for of_model in seen.values()), default=0)
        seen = {digest: of_model for digest, of_model in seen.items() if of_model.latest > latest - DAY}
        self._inputs.check()
        table = self._made(seen, state.table, newest)
        if table is not None:
            publish_table(self._settings.thresholds_topic, self._kafka, self._settings.model_name, table)
            _log.info("table %d: alarm %d, by default %.4f", table.version, table.alarm, table.default)
        self._state = State(micro_batch, seen, table or state.table)
        wait(self._spark_files.plan(micro_batch))  # what is counted here, Spark must not plan differently
        self._folder.write_newest(_STATE, zlib.compress(msgspec.msgpack.encode(self._state), 1))

    def _counted(self, records: DataFrame) -> dict[str, Counted]:
        # Half of the slots stay free for detection.
        slots = max(1, records.sparkSession.sparkContext.defaultParallelism // 2)
        while True:
            grids = {digest: None if known is None else known.grid for digest, known in self._references.items()}
            found = added_up(records.coalesce(slots).mapInArrow(ScoreCounts(grids).count, ROWS).toArrow())
            new = unknown(found)  # rare: where a model has judged its first scores
            if not new:
                return found
            for digest in new:
                self._reference(digest, found[digest].version)

    def _reference(self, digest: str, version: int) -> Reference | None:
        if digest not in self._references:
            self._references[digest] = self._stored_reference(digest, version)
        return self._references[digest]

    def _stored_reference(self, digest: str, version: int) -> Reference | None:
        try:
            reference = self._models.named(digest, version).reference
        except ModelRefused as refusal:
            _log.error("no thresholds for version %d of the model (%s): %s", version, digest, refusal)
            return None
        if reference is None:
            _log.warning("no thresholds for version %d of the model: it was trained by an earlier release", version)
        return reference

    def _newest_on_topic(self) -> Table | None:
        """Tables of an earlier checkpoint may be there, or another's: ours go on with their numbers."""
        tables = self._tables.read_all() if self._on_topic is None else self._tables.read(0.0)
        self._on_topic = max([*filter(None, [self._on_topic]), *tables], key=lambda table: table.version, default=None)
        return self._on_topic

    def _made(self, seen: dict[str, Seen], last: Table | None, newest: Table | None) -> Table | None:
        """The table of the model that judged last, where its thresholds differ from those in force.

        newest: on the topic. Where that is neither `last` nor, after a micro-batch that was not finished, this one, it was
        made elsewhere: then the table is published in any case, with a higher number.
        """
        if not seen:
            return None
        digest, latest = max(seen.items(), key=lambda pair: pair[1].latest)
        counts, reference = np.frombuffer(latest.counts, COUNT), self._reference(digest, latest.version)
        if reference is None or counts["block"][0] == latest.latest // BLOCK:
            return None  # the first block is not over: the model's own threshold holds
        known = last.version if last else 0
        table = table_at(latest.latest, counts, reference, known + 1, latest.version)
        table = msgspec.structs.replace(table, model_digest=digest)
        if newest is not None and newest.version > known and newest != table:
            return msgspec.structs.replace(table, version=newest.version + 1)
        return None if table.same_thresholds(last) else table


if __name__ == "__main__":
    sys.exit(main())
