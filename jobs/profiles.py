"""The profiles query: scores and labels from Kafka → tables of profiles beside the checkpoint, announced on a topic."""

import functools
import logging
import sys
import time
from pathlib import Path
from typing import Final

if not __package__:  # spark-submit runs this file as a script, and knows only the folder that it stands in
    sys.path[0] = str(Path(__file__).resolve().parent.parent)
    from jobs.runtime.orphan import end_with_parent

    end_with_parent()

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.streaming import StreamingQuery

from detection.profile_store import ProfileStore
from jobs.initial_state import past_profiles
from jobs.preflight import check_kafka
from jobs.profile_counts import Counting, Span
from jobs.profile_rows import ROWS, Counted, added
from jobs.profile_state import ProfileState
from jobs.profile_state_form import Limits, Made, State
from jobs.recoveries import RECOVERIES
from jobs.runtime.application import run
from jobs.runtime.errors import Fatal
from jobs.runtime.gate import Gate
from jobs.runtime.settling import SparkFiles, wait
from jobs.runtime.start import start_at_intervals
from jobs.runtime.storage import DurableFolder
from jobs.source.input_topics import InputTopics
from jobs.source.stream import stream
from jobs.source.topic_offsets import QueryCheckpoint
from messaging.config import KafkaConfig
from settings import Settings
from versions.left_out import LeftOut
from versions.profiles import Announcement, AnnouncementReader, announce

QUERY: Final = "profiles"

_log = logging.getLogger(__name__)


def main() -> int:
    settings = Settings.from_command_line()
    topics = settings.scores_topic, settings.labels_topic, settings.profiles_topic
    return run(settings, {QUERY: start}, RECOVERIES, [functools.partial(check_kafka, settings, *topics)])


def start(spark: SparkSession, settings: Settings, gate: Gate) -> StreamingQuery:
    """Start the query from its checkpoint, or with the oldest score and label that Kafka still has."""
    topics = [settings.scores_topic, settings.labels_topic]
    inputs = InputTopics(spark, settings, QUERY, topics, settings.profiles_accept_data_loss)
    with inputs.starting():
        maker = ProfileMaker(spark, settings, gate, inputs)
        interval = settings.profiles_interval_seconds
        query = start_at_intervals(records(spark, settings), gate, QUERY, maker.write, settings, interval)
    inputs.watch(query)
    return query


def records(spark: SparkSession, settings: Settings) -> DataFrame:
    """The topics of scores and labels: topic, partition, offset, time (ms, the record's own in Kafka), value."""
    most, accept_loss = settings.max_offsets_per_trigger, settings.profiles_accept_data_loss
    found = stream(spark, settings, settings.scores_topic, settings.labels_topic, most=most, accept_loss=accept_loss)
    return found.select("topic", "partition", "offset", F.unix_millis("timestamp").alias("time"), "value")


class ProfileMaker:
    """What a micro-batch goes through: its records are counted by the tasks, and where a block is over, a table is made.

    Table, announcement and state are durable before the micro-batch is done, in this order. One that is run again after its
    state was written changes nothing; one that is run again before comes to the same table, and announces it once more.
    """

    def __init__(self, spark: SparkSession, settings: Settings, gate: Gate, inputs: InputTopics) -> None:
        folder = functools.partial(DurableFolder, spark)
        self._settings = settings
        self._gate = gate
        self._inputs = inputs
        self._kafka = KafkaConfig.from_settings(settings)
        self._spark_files = SparkFiles(folder(f"{settings.checkpoint}/{QUERY}").local)
        self._offsets = QueryCheckpoint(spark, f"{settings.checkpoint}/{QUERY}")
        made = folder(f"{settings.checkpoint}/{QUERY}-made")
        self._place = f"{settings.checkpoint}/{QUERY}-made" if made.local is None else str(made.local.absolute())
        limits = Limits(
            settings.profile_block_seconds, settings.profile_index_days, settings.profile_index_transactions
        )
        self._state = ProfileState(folder(f"{settings.checkpoint}/{QUERY}-state"), ProfileStore(made), limits)
        if self._state.state.block_seconds != limits.block_seconds:
            raise Fatal(
                f"the profiles of {settings.checkpoint} are of blocks of {self._state.state.block_seconds} s, but "
                f"--profile-block-seconds is {limits.block_seconds}: start with theirs, or delete the folders {QUERY}, "
                f"{QUERY}-state and {QUERY}-made to count again what Kafka still has"
            )
        self._reader = AnnouncementReader(settings.profiles_topic, self._kafka, settings.model_name)
        self._on_topic: Announcement | None = None
        self._foreign = LeftOut(f"of {settings.scores_topic} and {settings.labels_topic}, being neither")
        if self._state.is_new:
            self._begin(spark)

    def write(self, found: DataFrame, micro_batch: int) -> None:
        """Take in a micro-batch's records, and make and announce a table where a block is over."""
        self._gate.enter(QUERY, micro_batch)
        before = self._state.state
        if micro_batch <= before.micro_batch:
            return
        self._inputs.check()
        self._inputs.report_losses(micro_batch)
        counted = self._counted(found)
        self._inputs.check()
        newest = self._newest_on_topic()
        known = (
            None if newest is None else Made(newest.version, newest.digest, newest.block, newest.size, newest.entities)
        )
        end = self._offsets.of(micro_batch)[1]
        wait(self._spark_files.plan(micro_batch))  # what is counted here, Spark must not plan differently
        state = self._state.take_in(micro_batch, counted, end, known)
        if state.made is not None and state.made != before.made:
            self._announce(state.made, state)
        self._state.settle(state)
        self._foreign.add(counted.figures.foreign, counted.figures.example)
        made = state.made
        self._gate.report(QUERY, table=0 if made is None else made.version, labels=state.totals.labels)

    def _begin(self, spark: SparkSession) -> None:
        """With the profiles of training's history, where a first start has them."""
        past = past_profiles(spark, self._settings)
        if past is None:
            _log.warning("no profiles beside --initial-state: all merchants and categories are new to this job")
            return
        newest = self._newest_on_topic()
        made = self._state.begin(past, 1 if newest is None else newest.version + 1)
        self._announce(made, self._state.state)

    def _counted(self, found: DataFrame) -> Counted:
        # Half of the slots stay free for detection.
        slots = max(1, found.sparkSession.sparkContext.defaultParallelism // 2)
        while True:
            counting = Counting(
                (self._settings.scores_topic, self._settings.labels_topic),
                Span(self._settings.profile_block_seconds, self._settings.max_future_hours, int(time.time() * 1000)),
                self._state.state.seen,
            )
            counted, twice = added(found.coalesce(slots).mapInArrow(counting.count, ROWS).toArrow())
            if counted.figures.again and self._begin_again(counted.figures.again):  # rare
                _log.warning("the topic of transactions was made again: its offsets begin again")
            elif twice and slots > 1:  # rare: the same record was written to two partitions
                slots = 1
            else:
                return counted

    def _begin_again(self, partitions: list[int]) -> bool:
        """Whether partitions of transactions begin again, where scores say so: Kafka knows whether it can be."""
        topic = self._inputs.id_now(self._settings.transactions_topic)
        return topic is not None and self._state.forget_partitions(partitions, topic)

    def _newest_on_topic(self) -> Announcement | None:
        """Tables of an earlier checkpoint may be there, or another's: ours go on with their numbers."""
        found = self._reader.read_all() if self._on_topic is None else self._reader.read(0.0)
        every = [*([] if self._on_topic is None else [self._on_topic]), *found]
        self._on_topic = max(every, key=lambda each: each.version, default=None)
        return self._on_topic

    def _announce(self, made: Made, state: State) -> None:
        announcement = Announcement(
            made.version,
            made.as_of,
            self._settings.profile_block_seconds,
            state.offsets,
            made.digest,
            self._place,
            f"{made.name}.profiles",
            made.size,
            made.entities,
        )
        announce(self._settings.profiles_topic, self._kafka, self._settings.model_name, announcement)
        totals = state.totals
        _log.info(
            "table %d of profiles, as of block %d: %d entities, %d scores and %d labels in all; of the labels %d said "
            "nothing new, and of %d no transaction came",
            made.version,
            made.as_of,
            made.entities,
            totals.scores,
            totals.labels,
            totals.unchanged,
            totals.given_up,
        )


if __name__ == "__main__":
    sys.exit(main())
