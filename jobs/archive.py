"""The archiving query: scores and labels from Kafka → the lake's Delta tables, each record once."""

import functools
import logging
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

if not __package__:  # spark-submit runs this file as a script, and knows only the folder that it stands in
    sys.path[0] = str(Path(__file__).resolve().parent.parent)
    from jobs.runtime.orphan import end_with_parent

    end_with_parent()

import msgspec
from pyspark import StorageLevel
from pyspark.errors import AnalysisException
from pyspark.sql import Column, DataFrame, Row, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import from_arrow_schema
from pyspark.sql.streaming import StreamingQuery

from detection.ledger import Ledger
from detection.storage import decoded
from jobs.preflight import check_kafka
from jobs.recoveries import RECOVERIES
from jobs.runtime.application import run
from jobs.runtime.errors import Fatal
from jobs.runtime.gate import Gate
from jobs.runtime.settling import SparkFiles, wait
from jobs.runtime.start import start_at_intervals
from jobs.runtime.storage import DurableFolder
from jobs.source.input_topics import InputTopics
from jobs.source.stream import stream
from jobs.source.topic_offsets import ByTopic, QueryCheckpoint
from jobs.warehousing import Warehousing
from lake.maintenance import Upkeep
from lake.place import LakeUnusable, Place
from lake.rows import DAY, LABEL_ROW, LABELS, SCORE_ROW, SCORES, LabelRows, Piece, ScoreRows
from lake.settling import settle
from settings import Settings

QUERY: Final = "archive"

_RECORD: Final = ["partition", "offset", "kafka_time", "transaction_id"]
"""A score of the same record has the same ones, in one topic; also where no ledger knows any more which topic that was."""

_LABEL: Final = ["partition", "offset"]

_UPKEEP_EVERY: Final = 30
_MOST_PARTITIONS: Final = 256
_MOST_FILES: Final = 64
"""Of a day in a micro-batch; each has the records of one partition, or of few, so that its offsets are a short range."""

_log = logging.getLogger(__name__)


def main() -> int:
    settings = Settings.from_command_line()
    there = functools.partial(check_kafka, settings, settings.scores_topic, settings.labels_topic)
    return run(settings, {QUERY: start}, RECOVERIES, [there])


def start(spark: SparkSession, settings: Settings, gate: Gate) -> StreamingQuery:
    """Start the query from its checkpoint, or with the oldest score and label that Kafka still has."""
    if settings.lake is None:
        raise Fatal("no lake is named: start with --lake FOLDER")
    _refuse_unusable(Place(settings.lake))
    topics = settings.scores_topic, settings.labels_topic
    inputs = InputTopics(spark, settings, QUERY, topics, settings.archive_accept_data_loss)
    with inputs.starting():
        archive = Archive(spark, settings, Place(settings.lake), gate, inputs)
        most, accept_loss = settings.max_offsets_per_trigger, settings.archive_accept_data_loss
        records = stream(spark, settings, *topics, most=most, accept_loss=accept_loss)
        interval = settings.lake_interval_seconds
        query = start_at_intervals(records, gate, QUERY, archive.write, settings, interval)
    inputs.watch(query)
    if settings.warehouse is not None:
        address = settings.warehouse.get_secret_value()
        Warehousing(Place(settings.lake), address, interval).poll(lambda: query.isActive and not gate.closed)
    return query


def _refuse_unusable(place: Place) -> None:
    try:
        place.table(SCORES)
    except LakeUnusable as error:
        raise Fatal(str(error)) from None


class Plan(msgspec.Struct, frozen=True):
    """What a micro-batch holds. generation: how often a micro-batch was planned again with other offsets."""

    micro_batch: int
    start: ByTopic
    end: ByTopic
    generation: int = 0


class Archive:
    """What a micro-batch goes through: those of its records that a table lacks are appended to it.

    Delta's log names the application and the number of each micro-batch, so one that is run again changes nothing. A record
    that comes again in another one is found by its place: files say which places they have, so that none is read in vain.
    """

    def __init__(self, spark: SparkSession, settings: Settings, place: Place, gate: Gate, inputs: InputTopics) -> None:
        folder = functools.partial(DurableFolder, spark)
        self._settings = settings
        self._place = place
        self._upkeep = Upkeep(place, settings.lake_days)
        self._gate = gate
        self._inputs = inputs
        self._ledger = f"{settings.checkpoint}/ledger"
        self._own = folder(f"{settings.checkpoint}/{QUERY}")
        self._state = folder(f"{settings.checkpoint}/{QUERY}-state")
        self._offsets = QueryCheckpoint(spark, f"{settings.checkpoint}/{QUERY}")
        self._spark_files = SparkFiles(self._own.local)

    def write(self, records: DataFrame, micro_batch: int) -> None:
        """Append a micro-batch. Raises what Spark raises, so that it does not count as done."""
        self._gate.enter(QUERY, micro_batch)
        self._inputs.check()
        self._inputs.report_losses(micro_batch)
        plan = self._planned(micro_batch)
        # Half of the slots stay free for detection.
        few = records.coalesce(max(1, records.sparkSession.sparkContext.defaultParallelism // 2))
        wait(self._spark_files.plan(micro_batch))
        with self._place.writing():
            added = {}
            if _has(plan, self._settings.scores_topic):
                added[SCORES] = self._append(self._scores(few), SCORES, _RECORD, plan)
            if _has(plan, self._settings.labels_topic):
                added[LABELS] = self._append(self._labels(few), LABELS, _LABEL, plan)
            self._inputs.check()
            if micro_batch % _UPKEEP_EVERY == _UPKEEP_EVERY - 1:
                self._upkeep.look()
        self._gate.report(QUERY, **added)

    def _planned(self, micro_batch: int) -> Plan:
        """What the micro-batch holds, durable; where it held something else before, under another generation."""
        start, end = self._offsets.of(micro_batch)
        content = self._state.read_newest("plan")
        known = None if content is None else decoded(content, f"{QUERY}-state/plan", msgspec.json.Decoder(Plan).decode)
        generation = 0 if known is None else known.generation
        if known is not None and known.micro_batch >= micro_batch and (known.start, known.end) != (start, end):
            generation += 1
        plan = Plan(micro_batch, start, end, generation)
        if plan != known:
            self._state.write_newest("plan", msgspec.json.encode(plan))
        return plan

    def _application(self, plan: Plan) -> str:
        """Of this checkpoint alone: another one counts its micro-batches from 0 again."""
        metadata = self._own.read("metadata")
        if metadata is None:
            raise FileNotFoundError(f"the checkpoint of {QUERY} lacks its metadata")
        return f"scoreline-archive-{msgspec.json.decode(metadata)['id']}-{plan.generation}"

    def _scores(self, records: DataFrame) -> DataFrame:
        pieces = [
            Piece(each.topic_id, each.last_micro_batch, each.start, each.end)
            for each in Ledger(DurableFolder(records.sparkSession, self._ledger, create=False)).pieces()
            if each.topic_id
        ]
        of_topic = records.where(F.col("topic") == self._settings.scores_topic)
        taken = of_topic.select("value", F.unix_millis("timestamp").alias("time"))
        return taken.mapInArrow(ScoreRows(pieces).read, from_arrow_schema(SCORE_ROW))

    def _labels(self, records: DataFrame) -> DataFrame:
        topic = self._settings.labels_topic
        read = LabelRows(self._inputs.id_of(topic), int(time.time() * 1000)).read
        taken = records.where(F.col("topic") == topic).select("partition", "offset", "value")
        return taken.mapInArrow(read, from_arrow_schema(LABEL_ROW))

    def _append(self, rows: DataFrame, table: str, identity: list[str], plan: Plan) -> int:
        """Append the rows that the table lacks; returns how many came."""
        address = self._place.table(table)
        rows = rows.persist(StorageLevel.DISK_ONLY)
        try:
            places = (
                rows.groupBy("partition").agg(F.min("offset"), F.max("offset"), F.count("*").alias("rows")).collect()
            )
            if not places:
                return 0
            fresh = lacking(rows.dropDuplicates([*identity, "topic_id"]), address, identity, places)
            files = min(_MOST_FILES, 1 + max(row.partition for row in places))  # a foreign score may name any partition
            (
                fresh.repartitionById(files, F.pmod("partition", F.lit(files)))
                .sortWithinPartitions(DAY, "offset")
                .write.format("delta")
                .mode("append")
                .partitionBy(DAY)
                .option("txnAppId", self._application(plan))
                .option("txnVersion", plan.micro_batch)
                .option("mergeSchema", "true")  # a table of an older release gains the columns that it lacks
                .save(address)
            )
            if self._place.local is not None:
                settle(self._place.local / table)
            return sum(row["rows"] for row in places)
        finally:
            rows.unpersist()


def lacking(rows: DataFrame, address: str, identity: list[str], places: Sequence[Row]) -> DataFrame:
    """The rows that a table does not have yet. places: of the rows, (partition, least offset, greatest offset, …) each."""
    near = _near(places)
    try:
        table = rows.sparkSession.read.format("delta").load(address)
    except AnalysisException:  # the first rows of all: there is no table yet
        return rows
    there = table.where(near).select("topic_id", *identity)
    if there.isEmpty():  # as ever: by the files' statistics nothing is read
        return rows
    new, old = rows.alias("new"), there.alias("old")
    same = functools.reduce(Column.__and__, (F.col(f"new.{name}") == F.col(f"old.{name}") for name in identity))
    ids = F.col("new.topic_id"), F.col("old.topic_id")
    return new.join(old, same & ((ids[0] == ids[1]) | (ids[0] == "") | (ids[1] == "")), "left_anti")


def _near(places: Sequence[Row]) -> Column:
    """What may be one of these places; of many partitions, as foreign scores may name, less exactly."""
    if len(places) > _MOST_PARTITIONS:
        return F.col("offset").between(min(row[1] for row in places), max(row[2] for row in places))
    each = (
        (F.col("partition") == partition) & F.col("offset").between(first, last) for partition, first, last, _ in places
    )
    near: Column = functools.reduce(Column.__or__, each)
    return near


def _has(plan: Plan, topic: str) -> bool:
    return plan.start.get(topic, {}) != plan.end.get(topic, {})


if __name__ == "__main__":
    sys.exit(main())
