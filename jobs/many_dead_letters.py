"""Many dead letters at once: Spark reads their originals again, in ranges, and writes those that surely fit their topic."""

import json
from collections.abc import Mapping
from contextlib import closing
from typing import Final

from kafka import KafkaConsumer, TopicPartition
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from jobs.customer_fold import HEADER_BYTES
from jobs.dead_letters import Place, SetAside
from jobs.scoring import dead_letter_headers
from jobs.source.topic_limits import room
from messaging.config import KafkaConfig
from settings import Settings

ENOUGH: Final = 200
"""Fewer than these are sent sooner one by one, at some hundred a second, than ranges are read that hold other records too."""

_A_POLL: Final = 16
"""Records that a task has in memory unpacked at a time: these are the large ones."""


class ManyDeadLetters:
    """limit: max.message.bytes of the topic of dead letters. producer: options of the writer to Kafka."""

    def __init__(self, spark: SparkSession, settings: Settings, limit: int, producer: Mapping[str, str]) -> None:
        self._spark = spark
        self._settings = settings
        self._kafka = KafkaConfig.from_settings(settings)
        self._room = room(limit) - HEADER_BYTES
        self._producer = producer

    def write(self, found: Mapping[Place, SetAside]) -> dict[Place, SetAside]:
        """Send those that are many and surely fit, and return the others, for `DeadLetters`.

        Raises where Kafka deletes one of them at this very moment; the next attempt finds it gone.
        """
        if len(found) < ENOUGH:
            return dict(found)
        first = self._first_offsets(found)
        fitting = {
            place: why for place, why in found.items() if place[1] >= first[place[0]] and self._size(why) <= self._room
        }
        if len(fitting) < ENOUGH:
            return dict(found)
        options = self._kafka.for_spark() | dict(self._producer)
        self._letters(fitting).write.format("kafka").options(**options).save()
        return {place: why for place, why in found.items() if place not in fitting}

    def _first_offsets(self, found: Mapping[Place, SetAside]) -> dict[int, int]:
        """Of each partition the first offset that Kafka still has."""
        topic = self._settings.transactions_topic
        with closing(KafkaConsumer(**self._kafka.for_kafka_python_consumer(), enable_auto_commit=False)) as consumer:
            first = consumer.beginning_offsets([TopicPartition(topic, number) for number in {at for at, _ in found}])
        return {at.partition: offset for at, offset in first.items()}

    def _size(self, why: SetAside) -> int:
        """At most so many bytes have key, value and reason together."""
        size = self._settings.max_transaction_bytes if why.size is None else why.size
        return size + len(why.reason.encode())

    def _letters(self, found: Mapping[Place, SetAside]) -> DataFrame:
        """(topic, key, value, headers), one for each place."""
        rows = [
            (partition, offset, why.reason, "true" if why.folded else None)
            for (partition, offset), why in found.items()
        ]
        wanted = self._spark.createDataFrame(rows, "partition int, offset long, reason string, folded string")
        problem = F.struct("reason", "partition", "offset", F.unix_millis("timestamp").alias("kafka_time"), "folded")
        return (
            self._originals(found)
            .join(F.broadcast(wanted), ["partition", "offset"])
            .withColumn("problem", problem)
            .select(
                F.lit(self._settings.invalid_topic).alias("topic"),
                "key",
                "value",
                dead_letter_headers(self._settings, F.col("problem")).alias("headers"),
            )
        )

    def _originals(self, found: Mapping[Place, SetAside]) -> DataFrame:
        """The records from the first of each partition to the last."""
        topic = self._settings.transactions_topic
        first, end = dict[str, int](), dict[str, int]()
        for partition, offset in found:
            first[str(partition)] = min(offset, first.get(str(partition), offset))
            end[str(partition)] = max(offset + 1, end.get(str(partition), 0))
        return (
            self._spark.read.format("kafka")
            .options(**self._kafka.for_spark())
            .option("assign", json.dumps({topic: [int(partition) for partition in first]}))
            .option("startingOffsets", json.dumps({topic: first}))
            .option("endingOffsets", json.dumps({topic: end}))
            .option("kafka.max.poll.records", _A_POLL)
            .option("failOnDataLoss", True)
            .load()
            .select("partition", "offset", "timestamp", "key", "value")
        )
