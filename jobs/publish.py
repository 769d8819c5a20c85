"""The publishing query: scores and dead letters from Kafka → points in InfluxDB."""

import dataclasses
import functools
import logging
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, NamedTuple

if not __package__:  # spark-submit runs this file as a script, and knows only the folder that it stands in
    sys.path[0] = str(Path(__file__).resolve().parent.parent)
    from jobs.runtime.orphan import end_with_parent

    end_with_parent()

import msgspec
from kafka.errors import KafkaError
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.streaming import StreamingQuery

from jobs.points_mode import Points, PointsMode
from jobs.preflight import check_kafka
from jobs.publish_points import TALLY, Publication
from jobs.published_counts import begin, count
from jobs.recoveries import RECOVERIES
from jobs.runtime.application import run
from jobs.runtime.errors import StartAgain
from jobs.runtime.gate import Gate
from jobs.runtime.start import start_at_intervals
from jobs.runtime.storage import DurableFolder
from jobs.score_sums import added_up, lines_of
from jobs.source.attempts import ended_with_it
from jobs.source.input_topics import InputTopics
from jobs.source.micro_batch_size import Pace, costly, pace, polled
from jobs.source.record_sizes import Sizes, sample
from jobs.source.stream import MOST_A_POLL, stream
from jobs.source.topic_offsets import CheckpointOffsets
from jobs.source.transactions_topic import TransactionsTopic
from jobs.tag_values import TagValues, Values
from jobs.tallying import of_held, written
from jobs.throughput import Arrived, Held, Tally, Throughput, percentile
from settings import Settings
from sinks.chosen import sink_of
from versions.left_out import LeftOut

QUERY: Final = "publish"

_DETECTION: Final = "detect"
"""The query that writes what this one reads; it may run in the same application."""

_FACTOR: Final = 2
_LEAST_SECONDS: Final = 5.0
_REASON: Final = 400
"""Characters of a dead letter's reason that are looked at; it may quote a long text."""
_LONG_SECONDS: Final = 300.0

_log = logging.getLogger(__name__)


def main() -> int:
    settings = Settings.from_command_line()
    there = functools.partial(check_kafka, settings, settings.scores_topic, settings.invalid_topic)
    return run(settings, {QUERY: start}, RECOVERIES, [there])


def start(spark: SparkSession, settings: Settings, gate: Gate) -> StreamingQuery:
    """Start the query from its checkpoint, or with the oldest score that Kafka still has.

    A micro-batch whose points cannot be written fails the query; started again, it writes the same points once more.
    """
    with sink_of(settings) as sink:
        sink.check()  # so that a start costs little while the sink is unavailable
    topics = settings.scores_topic, settings.invalid_topic
    inputs = InputTopics(spark, settings, QUERY, topics, settings.publish_accept_data_loss)
    with inputs.starting():
        at = publish_pace(spark, settings, gate)
        publisher = Publisher(settings, gate, inputs, kept(spark, settings), at)
        records = judged(spark, settings, at.a_poll).transform(published(settings))
        query = start_at_intervals(records, gate, QUERY, publisher.write, settings, settings.publish_interval_seconds)
    inputs.watch(query)
    return query


class Kept(NamedTuple):
    """What publish keeps beside the checkpoint, so that a point is the same however often it is written.

    mode: None where the settings say which scores become points.
    """

    values: TagValues
    mode: PointsMode | None


def kept(spark: SparkSession, settings: Settings) -> Kept:
    """As the checkpoint has it."""
    mode = None
    if settings.publish_points == "auto":
        folder = DurableFolder(spark, f"{settings.checkpoint}/points")
        mode = PointsMode(folder, settings.publish_most, max(_LEAST_SECONDS, settings.publish_interval_seconds))
    return Kept(TagValues(spark, settings.checkpoint), mode)


def publish_pace(spark: SparkSession, settings: Settings, gate: Gate) -> Pace:
    """By the largest of some records that the query goes on with, and of those that detection has met.

    What a topic may hold is no measure: a dead letter may have 9 MiB, and with polls made for that, all of them asked of Kafka
    by themselves, a record costs six times as much.
    """
    checkpoint = DurableFolder(spark, f"{settings.checkpoint}/{QUERY}")
    commits = DurableFolder(spark, f"{settings.checkpoint}/{QUERY}/commits").names()
    found = []
    for topic in (settings.scores_topic, settings.invalid_topic):
        done = CheckpointOffsets(checkpoint, topic).done(commits)
        since = None if done is None else {int(partition): offset for partition, offset in done.items()}
        found.append(sample(spark, settings, topic, since))
    largest = max([sizes.largest for sizes in found if sizes is not None] + [met_by_detection(gate)])
    most = 2 * settings.max_offsets_per_trigger
    short = gate.short_of_memory(QUERY) + ended_with_it(spark, settings.checkpoint, QUERY)
    return pace(most, most * max(1, largest), Sizes(largest, largest), slots(spark), short)


def met_by_detection(gate: Gate) -> int:
    """The bytes of the largest record that detection, where it runs in this application, has lately met; else 0.

    It reports one before it writes its dead letter.
    """
    return int(gate.facts(_DETECTION).get("largest_record", 0))


def slots(spark: SparkSession) -> int:
    """Tasks at once. One that waits for the sink holds its slot; half of them stay free, so that detection never waits."""
    return max(1, spark.sparkContext.defaultParallelism // 2)


def judged(spark: SparkSession, settings: Settings, a_poll: int = MOST_A_POLL) -> DataFrame:
    """The records of the scores topic and of the dead letters' topic, as Spark's Kafka source gives them."""
    topics = settings.scores_topic, settings.invalid_topic
    return stream(
        spark,
        settings,
        *topics,
        most=2 * settings.max_offsets_per_trigger,
        a_poll=a_poll,
        accept_loss=settings.publish_accept_data_loss,
        headers=True,
    )


def published(settings: Settings) -> Callable[[DataFrame], DataFrame]:
    """Kafka records → what `Publication.publish` takes. A dead letter's value stays out of Python: it may be large."""

    def transform(records: DataFrame) -> DataFrame:
        dead = F.col("topic") == settings.invalid_topic
        return records.select(
            F.when(~dead, F.col("value")).alias("value"),
            dead.alias("dead"),
            F.when(dead, F.substring(_header("reason"), 1, _REASON)).alias("reason"),
            F.unix_millis("timestamp").alias("kafka_time"),
            "partition",
            "offset",
            F.when(dead, _header("partition").try_cast("int")).alias("input_partition"),
            F.when(dead, _header("offset").try_cast("long")).alias("input_offset"),
        )

    return transform


def _header(name: str) -> Column:
    """A Kafka header as text; null where there is none of that name."""
    return F.get(F.filter("headers", lambda header: header["key"] == name), 0)["value"].cast("string")


class Publisher:
    """What a micro-batch goes through: the points of its records, written by the tasks, then its own, by the driver."""

    def __init__(self, settings: Settings, gate: Gate, inputs: InputTopics, kept: Kept, at: Pace) -> None:
        self._gate = gate
        self._at = at
        self._since = time.monotonic()
        self._inputs = inputs
        self._sink = sink_of(settings)
        self._transactions = TransactionsTopic(settings)
        points: Points = "all" if settings.publish_points == "auto" else settings.publish_points
        self._publication = Publication(self._sink, points, settings.publish_share)
        self._throughput = Throughput(self._transactions.records)
        self._kept = kept
        self._left_out = LeftOut(f"of {settings.scores_topic}, being no scores")
        self._marked = Tally()
        begin(gate.meter)

    def write(self, records: DataFrame, micro_batch: int) -> None:
        """Write a micro-batch. Raises what the sink raises, so that Spark does not count it as done."""
        self._gate.enter(QUERY, micro_batch)
        tasks = slots(records.sparkSession)
        self._check_polls(polled(met_by_detection(self._gate), tasks))
        self._inputs.check()
        self._inputs.report_losses(micro_batch)
        few = records.coalesce(tasks)
        if self._kept.mode is not None:
            self._publication = dataclasses.replace(self._publication, points=self._kept.mode.of(micro_batch))
        tally = written(self._kept.values, lambda *known: self._by_tasks(few, *known), self._by_driver)
        self._left_out.add(tally.unreadable, tally.example)
        self._report_marked(tally)
        if tally.last_time is not None:
            self._gate.report(QUERY, latency_p50_ms=percentile(tally.latency, 0.5) if tally.latency else None)
            point = self._throughput.point(tally, micro_batch, self._arrived(tally.last_time))
            sums = added_up(tally.sums)
            with self._sink as sink:
                for lines in () if sums is None else lines_of(sums, micro_batch):
                    sink.write(lines)
                sink.write(point)
            if self._kept.mode is not None:
                self._kept.mode.learn(micro_batch, tally)
        count(self._gate.meter, tally)
        self._inputs.check()
        if costly(self._at):
            self._gate.start_again(QUERY, "the micro-batch came through that the last application ended with")

    def _report_marked(self, tally: Tally) -> None:
        """How many scores, since this start, are of amounts or extras that count as unknown."""
        self._marked += Tally(currency_unknown=tally.currency_unknown, extras_refused=tally.extras_refused)
        marked = {name: getattr(self._marked, name) for name in ("currency_unknown", "extras_refused")}
        self._gate.report(QUERY, **marked)

    def _check_polls(self, fitting: int) -> None:
        """Raises `StartAgain`, before anything is read, where records are larger than the polls were made for, or, now and
        then, where they have become small again."""
        small_again = not self._at.careful and time.monotonic() - self._since > _LONG_SECONDS
        if fitting * _FACTOR <= self._at.a_poll or (small_again and fitting >= self._at.a_poll * _FACTOR):
            raise StartAgain(f"detection has met records of other sizes: {fitting} are asked for at a time")

    def _by_tasks(self, records: DataFrame, known: Values, written: Values | None = None) -> Tally:
        publication = dataclasses.replace(self._publication, known=known, written=written)
        rows = records.mapInArrow(publication.publish, TALLY).collect()
        return sum((msgspec.msgpack.decode(row.tally, type=Tally) for row in rows), Tally())

    def _by_driver(self, some: Sequence[Held], known: Values) -> Tally:
        [answer] = dataclasses.replace(self._publication, known=known).publish(iter([of_held(some)]))
        return msgspec.msgpack.decode(answer["tally"][0].as_py(), type=Tally)

    def _arrived(self, time_ms: int) -> Arrived | None:
        try:
            return self._transactions.at(time_ms)
        except KafkaError as error:
            _log.warning("lag and input are left out: Kafka did not say how far the transactions are (%r)", error)
            return None


if __name__ == "__main__":
    sys.exit(main())
