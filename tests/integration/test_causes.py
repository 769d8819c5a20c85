"""What is told of real failures of real Spark, Kafka and Python: the cause itself, what it means, and how to fix it."""

import os
import shutil
import signal
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaAdminClient, TopicPartition
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from jobs.runtime.errors import Fatal
from jobs.runtime.known_causes import explain
from messaging.config import KafkaConfig
from messaging.topics import create_topics
from ml.registry.model_store import ModelRefused
from settings import Settings
from sinks.sink import SinkRejected, SinkUnavailable
from tests.integration.traffic import messages, send, traffic


def nowhere(rows: DataFrame, _: int) -> None:
    rows.write.format("noop").mode("append").save()


class Trial:
    """One streaming query from the transactions topic to foreachBatch, run until it fails."""

    def __init__(self, spark: SparkSession, settings: Settings, folder: Path) -> None:
        self.spark, self.settings, self.folder = spark, settings, folder
        self.checkpoint = folder / "query"

    def source(self, **options: Any) -> DataFrame:
        reader = self.spark.readStream.format("kafka").options(**KafkaConfig.from_settings(self.settings).for_spark())
        return (
            reader.option("subscribe", self.settings.transactions_topic)
            .option("startingOffsets", "earliest")
            .options(**options)
            .load()
        )

    def run(self, write: Callable[[DataFrame, int], None], frame: DataFrame | None = None) -> str:
        """What is told of the failure that the query ends with."""
        frame = self.source() if frame is None else frame
        query = frame.writeStream.foreachBatch(write).option("checkpointLocation", str(self.checkpoint)).start()
        try:
            query.processAllAvailable()
        except Exception as error:  # noqa: BLE001  # whatever it is, it is told
            return str(explain(error))
        finally:
            query.stop()
        return "no failure"

    def pass_once(self) -> None:
        assert self.run(nowhere) == "no failure"


@pytest.fixture
def trial(spark: SparkSession, topics: Settings, tmp_path: Path) -> Trial:
    send(topics, messages(traffic(20, customers=5, seed=1)))
    spark.conf.set("spark.sql.shuffle.partitions", "2")
    return Trial(spark, topics, tmp_path)


def one_line(told: str) -> bool:
    return (
        "\n" not in told and len(told) < 900 and not any(mark in told for mark in ("+- ", "Thread State", "Traceback"))
    )


def in_a_task(work: Callable[[], Any]) -> Callable[[DataFrame, int], None]:
    def each(batches: Iterator[Any]) -> Iterator[Any]:
        for batch in batches:
            work()
            yield batch

    def write(rows: DataFrame, _: int) -> None:
        rows.select("value").mapInArrow(each, "value binary").write.format("noop").mode("append").save()

    return write


def raiser(error: BaseException) -> Callable[[], None]:
    def work() -> None:
        raise error

    return work


def disk_full() -> None:
    with Path("/dev/full").open("w") as full:
        full.write("x" * 100_000)


def killed() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize(
    ("work", "said", "fix"),
    [
        (raiser(SinkUnavailable("InfluxDB at http://x does not answer")), "http://x does not answer", "Nothing is lost"),
        (raiser(SinkRejected("InfluxDB refuses: 401")), "InfluxDB refuses: 401", "INFLUXDB_TOKEN"),
        (disk_full, "No space left on device", "Free some space"),
        (killed, "Python worker exited unexpectedly", "--max-offsets-per-trigger"),
        (raiser(KeyError("what our own bug says")), "KeyError: 'what our own bug says'", ""),
        (raiser(LookupError("the state log lacks its chunk 7: it is damaged")), "chunk 7", "--checkpoint"),
    ],
)  # fmt: skip
def test_what_fails_in_a_python_task_is_told_by_its_own_name(
    trial: Trial, work: Callable[[], None], said: str, fix: str
) -> None:
    told = trial.run(in_a_task(work))
    assert said in told
    assert fix in told
    assert one_line(told), told


@pytest.mark.parametrize("error", [Fatal("set --x to y, for it is z"), ModelRefused("its features are others")])
def test_what_our_own_code_raises_in_a_micro_batch_is_told_as_it_is(trial: Trial, error: Exception) -> None:
    assert trial.run(lambda *_: raiser(error)()) == str(error)


def test_records_that_kafka_no_longer_has_are_data_loss(trial: Trial) -> None:
    trial.pass_once()
    send(trial.settings, messages(traffic(20, customers=5, seed=2)))
    with KafkaAdminClient(bootstrap_servers=trial.settings.kafka_bootstrap_servers) as admin:
        admin.delete_records({TopicPartition(trial.settings.transactions_topic, p): -1 for p in range(4)})
    send(trial.settings, messages(traffic(20, customers=5, seed=3)))
    told = trial.run(nowhere)
    assert "KAFKA_DATA_LOSS" in told or "Some data may have been lost" in told
    assert "--accept-data-loss true" in told
    assert one_line(told), told


def test_a_second_writer_of_the_checkpoint_is_named(trial: Trial) -> None:
    offsets = trial.checkpoint / "offsets"

    def write(*_: Any) -> None:
        shutil.copy(offsets / "0", offsets / "1")

    told = trial.run(write, trial.source(maxOffsetsPerTrigger=10))
    assert told.startswith("CONCURRENT_STREAM_LOG_UPDATE")
    assert "jobs status" in told
    assert one_line(told), told


def test_a_topic_that_was_deleted_is_named(trial: Trial) -> None:
    trial.pass_once()
    with KafkaAdminClient(bootstrap_servers=trial.settings.kafka_bootstrap_servers) as admin:
        admin.delete_topics([trial.settings.transactions_topic])
    told = trial.run(lambda rows, _: None)
    create_topics(trial.settings)  # the fixture deletes it
    assert "UnknownTopicOrPartition" in told or "KAFKA_DATA_LOSS.PARTITIONS_DELETED" in told
    assert one_line(told), told


def to_kafka(settings: Settings, topic: str, **options: Any) -> Callable[[DataFrame, int], None]:
    def write(rows: DataFrame, _: int) -> None:
        big = rows.select(F.expr("repeat('x', 3000000)").alias("value"), F.lit(topic).alias("topic"))
        writer = big.write.format("kafka").options(**KafkaConfig.from_settings(settings).for_spark()).options(**options)
        writer.option("kafka.max.block.ms", 3_000).option("kafka.max.request.size", 64 << 20).save()

    return write


def test_a_record_that_the_topic_refuses_is_named(trial: Trial) -> None:
    told = trial.run(to_kafka(trial.settings, trial.settings.scores_topic))
    assert told.startswith("RecordTooLargeException")
    assert "max.message.bytes" in told
    assert one_line(told), told


def test_an_output_topic_that_is_not_there_is_named(trial: Trial) -> None:
    told = trial.run(to_kafka(trial.settings, f"none{uuid.uuid4().hex}"))
    assert "not present in metadata" in told or "UnknownTopicOrPartition" in told
    assert one_line(told), told


def test_brokers_that_do_not_answer_are_named(trial: Trial) -> None:
    away = trial.settings.model_copy(update={"kafka_bootstrap_servers": "127.0.0.1:1"})
    told = trial.run(to_kafka(away, trial.settings.scores_topic))
    assert "TimeoutException" in told
    assert "KAFKA_BOOTSTRAP_SERVERS" in told
    assert one_line(told), told


def test_a_login_that_kafka_refuses_and_a_right_that_it_denies_are_named(trial: Trial) -> None:
    errors = trial.spark._jvm.org.apache.kafka.common.errors  # type: ignore[union-attr]
    for thrown, fix in (
        (errors.SaslAuthenticationException("Authentication failed: Invalid username or password"), "KAFKA_SASL_PASSWORD"),
        (errors.TopicAuthorizationException("Not authorized to access topics: [scores]"), "WRITE"),
        (errors.UnknownTopicOrPartitionException("This server does not host this topic-partition."), "make stack"),
    ):  # fmt: skip

        def write(*_: Any, thrown: Any = thrown) -> None:
            promise = trial.spark._jvm.java.util.concurrent.CompletableFuture()  # type: ignore[union-attr]
            promise.completeExceptionally(thrown)
            promise.get()

        told = trial.run(write)
        assert told.startswith(thrown.getClass().getSimpleName())
        assert fix in told
        assert one_line(told), told


@pytest.mark.parametrize(
    ("gone", "said"),
    [("metadata", "STREAMING_CHECKPOINT_MISSING_METADATA_FILE"), ("state", "STATE")],
)
def test_a_checkpoint_that_lost_a_part_is_named(trial: Trial, gone: str, said: str) -> None:
    def run() -> str:
        counts = trial.source().groupBy("key").count().writeStream.outputMode("update")
        started = None
        try:
            started = counts.foreachBatch(nowhere).option("checkpointLocation", str(trial.checkpoint)).start()
            started.processAllAvailable()
        except Exception as error:  # noqa: BLE001  # whatever it is, it is told
            return str(explain(error))
        finally:
            if started is not None:
                started.stop()
        return "no failure"

    assert run() == "no failure"
    lost = trial.checkpoint / gone
    if lost.is_dir():
        shutil.rmtree(lost)
    else:
        lost.unlink()
    send(trial.settings, messages(traffic(20, customers=5, seed=4)))
    told = run()
    assert said in told
    assert "--checkpoint" in told
    assert one_line(told), told
