"""What a micro-batch of detect goes through after the fold: the ledger, the judgement, one write to Kafka."""

import logging
from collections.abc import Callable
from functools import partial
from typing import Final

from pyspark.sql import DataFrame, SparkSession

from detection.errors import VersionUnavailable
from detection.ledger import Entry, Ledger, Versions
from detection.ranges import cuts
from jobs.dead_letters import DeadLetters
from jobs.decisions import Sender, version_store
from jobs.declared_extras import model_store
from jobs.failures import report, report_refused_extras
from jobs.many_dead_letters import ManyDeadLetters
from jobs.newest import newest
from jobs.replay import Replay, by_position
from jobs.runtime.errors import Fatal
from jobs.runtime.gate import Gate
from jobs.runtime.settling import SparkFiles, wait
from jobs.runtime.storage import DurableFolder
from jobs.scoring import Judgement, SentDecision
from jobs.source.attempts import ended_with_it
from jobs.source.input_topics import InputTopics
from jobs.source.micro_batch_size import Pace, PaceKeeper, pace
from jobs.source.record_sizes import sample
from jobs.source.topic_limits import TopicLimits, read_limits, room
from jobs.source.topic_offsets import CheckpointOffsets
from jobs.tasks import Tasks
from messaging.config import KafkaConfig
from ml.features.currencies import Rates
from ml.features.declared import Declared
from settings import Settings

QUERY: Final = "detect"

_log = logging.getLogger(__name__)


def producer_options(limits: TopicLimits) -> dict[str, str]:
    """Of the writer to Kafka. The topics decide what is too large, so the producer sets no limit of its own."""
    return {
        "kafka.compression.type": "lz4",
        "kafka.acks": "all",
        "kafka.max.request.size": str((1 << 31) - 1),
        "kafka.buffer.memory": str(max(32 << 20, 4 * max(limits))),
        # Kafka's 16 KiB hold some 25 scores; each batch has its own compressor, request part and checksum. A batch that is
        # larger than its topic allows is refused whole, split into batches of this size, and sent again.
        "kafka.batch.size": str(min(1 << 20, limits.smallest)),
    }


class Detection:
    """What a micro-batch goes through after the fold: the ledger, model and thresholds, the judgement, one write to Kafka."""

    def __init__(
        self,
        spark: SparkSession,
        settings: Settings,
        gate: Gate,
        ledger: Ledger,
        inputs: InputTopics,
        rates: Rates,
        declared: Declared,
    ) -> None:
        folder = partial(DurableFolder, spark)
        self._spark = spark
        self._settings = settings
        self._gate = gate
        self._currency_version = rates.version
        self.tasks = Tasks.from_session(spark, read_limits(settings), declared)
        self._producer = producer_options(self.tasks.limits)
        self._dead_letters = DeadLetters(spark, settings, room(self.tasks.limits.invalid))
        self._many_dead_letters = ManyDeadLetters(spark, settings, self.tasks.limits.invalid, self._producer)
        self._ledger = ledger
        self._inputs = inputs
        own = folder(f"{settings.checkpoint}/{QUERY}")
        self._spark_files = SparkFiles(own.local)
        self._offsets = CheckpointOffsets(own, settings.transactions_topic)
        self._at_once = spark.sparkContext.defaultParallelism
        self.pace = self._pace(folder(f"{settings.checkpoint}/{QUERY}/commits").names())
        self._pace_keeper = PaceKeeper(
            settings.max_offsets_per_trigger, settings.max_bytes_per_trigger, self.pace, self._at_once
        )
        registry = model_store(settings, declared)
        self._versions = version_store(spark, settings.checkpoint, registry)
        self._sender = Sender(spark, self._versions)
        self._newest = newest(spark, settings, registry, self._versions)
        gate.report(QUERY, model=self._newest.model.version, **self._newest_facts())
        self._judgement: tuple[Versions, Judgement] | None = None
        self._replay = None if settings.replay_of is None else Replay(spark, settings.replay_of, registry, declared)

    def poll(self, wanted: Callable[[], bool]) -> None:
        """Begin to poll what the coming micro-batches are judged by, for as long as `wanted()`."""
        self._newest.poll(wanted)

    def write(self, rows: DataFrame, micro_batch: int) -> None:
        """Judge a micro-batch by the versions that the ledger names for it, and write all that comes of it to Kafka."""
        self._gate.enter(QUERY, micro_batch)
        self._inputs.check()
        self._inputs.report_losses(micro_batch)
        settling = self._spark_files.plan(micro_batch)
        entry = self._entry(micro_batch)
        wait(settling)
        versions = {"thresholds": entry.threshold_version, "profiles": entry.profile_version}
        self._gate.report(QUERY, model=entry.model_version, **versions, **self._newest_facts())
        self.tasks.begin()
        self._to_kafka(self._judgement_of(entry).records(rows, micro_batch))
        report(self.tasks.failures.value, self._settings.transactions_topic)
        off = self._pace_keeper.off(self.tasks.arrived.value)
        self._gate.report(QUERY, largest_record=self._pace_keeper.largest)  # before it becomes a dead letter
        if self.tasks.refused_extras is not None:
            report_refused_extras(self.tasks.refused_extras.value, self._settings.transactions_topic)
        if self.tasks.set_aside.value:
            left = self._many_dead_letters.write(self.tasks.set_aside.value)
            if left:
                self._dead_letters.write(left, lambda: self._gate.closed)
        self._inputs.check()
        self._spark_files.state()
        if off is not None:
            self._gate.start_again(QUERY, off)

    def _newest_facts(self) -> dict[str, float]:
        """Of the newest model: what share it alerts; and whether the champion after it is refused."""
        return {"budget": self._newest.model.budget, "refused": int(self._newest.refused)}

    def _pace(self, commits: list[str]) -> Pace:
        """How many records a micro-batch takes, by the sizes of some that it will go on with."""
        done = self._offsets.done(commits)
        since = None if done is None else {int(partition): offset for partition, offset in done.items()}
        sizes = sample(self._spark, self._settings, self._settings.transactions_topic, since)
        most, most_bytes = self._settings.max_offsets_per_trigger, self._settings.max_bytes_per_trigger
        seen = self._gate.facts(QUERY).get("largest_record", 0)
        if sizes is not None:
            sizes = sizes._replace(largest=max(sizes.largest, seen))
        short = self._gate.short_of_memory(QUERY) + ended_with_it(self._spark, self._settings.checkpoint, QUERY)
        found = pace(most, most_bytes, sizes, self._at_once, short)
        if sizes is not None:
            _log.info("records have some %.0f bytes, at most %d; %d in a micro-batch, %d a poll", *sizes, *found[:2])
        return found

    def _entry(self, micro_batch: int) -> Entry:
        start, end = self._offsets.of(micro_batch)
        recorded = self._ledger.entry(micro_batch)
        if recorded is not None and (recorded.start, recorded.end) == (start, end):
            return recorded
        if recorded is not None:
            _log.warning(
                "the ledger has other offsets for this micro-batch: Spark lost its newest files, and planned it again"
            )
            self._ledger.overtake(micro_batch)
        topic_id = self._inputs.id_of(self._settings.transactions_topic)
        entry = self._ledger.bound(Entry.from_versions(micro_batch, self._newest.versions(), start, end, topic_id))
        if self._ledger.record(entry):
            self._versions.purge(self._ledger)
        return entry

    def _judgement_of(self, entry: Entry) -> Judgement:
        """Of all records of a micro-batch by the same versions; of those that were judged before, by what judged them."""
        if self._replay is not None:
            own = self._decision(entry.versions)
            return self._judged_by(self._replay.decisions(entry, own))
        if entry.bound:
            decisions = by_position(cuts(entry, entry.bound), lambda known: self._decision(known or entry.versions))
            return self._judged_by(decisions)
        if self._judgement is None or self._judgement[0] != entry.versions:
            self._judgement = entry.versions, self._judged_by([(0, self._decision(entry.versions))])
        return self._judgement[1]

    def _judged_by(self, decisions: list[tuple[int, SentDecision]]) -> Judgement:
        return Judgement(decisions, self._settings, self.tasks, self._currency_version)

    def _decision(self, versions: Versions) -> SentDecision:
        """Raises `Fatal` where what the ledger names is not available: nothing else may judge these records."""
        try:
            return self._sender.sent(versions)
        except VersionUnavailable as error:
            raise Fatal(
                f"what judged this micro-batch is not available: {error}. Restore the folders models, tables and "
                f"profile-tables of {self._settings.checkpoint} from a copy, or start with another --checkpoint"
            ) from error

    def _to_kafka(self, records: DataFrame) -> None:
        options = KafkaConfig.from_settings(self._settings).for_spark() | self._producer
        records.write.format("kafka").options(**options).save()
