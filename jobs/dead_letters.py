"""Dead letters that can't be written with the rest: set aside by tasks, read again by their place, sent one by one."""

import logging
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

from py4j.protocol import Py4JJavaError
from pyspark import Accumulator, AccumulatorParam
from pyspark.sql import SparkSession

from jobs.runtime.errors import Stopping
from jobs.source.java_clients import java_producer
from jobs.source.record_reader import JavaRecord, RecordReader
from settings import Settings

_log = logging.getLogger(__name__)

Place = tuple[int, int]
"""(partition, offset) of a record of the transactions topic."""

CUTS: Final = ((1 << 10, 16 << 10, 1000), (256, 2 << 10, 300), (64, 256, 100), (0, 0, 60))
"""What a truncated dead letter keeps, each tried until one fits: bytes of key and value, and characters of its reason."""

_IN_FLIGHT_BYTES: Final = 32 << 20
_PATIENCE_SECONDS: Final = 120.0
_TOO_LARGE: Final = "RecordTooLargeException"
_PRODUCER: Final = {
    "key.serializer": "org.apache.kafka.common.serialization.ByteBufferSerializer",
    "value.serializer": "org.apache.kafka.common.serialization.ByteBufferSerializer",
    "acks": "all",
    "compression.type": "lz4",
    # The topic decides whether a record is too large.
    "max.request.size": str((1 << 31) - 1),
    "buffer.memory": str((1 << 31) - 1),
    "batch.size": "0",
    "max.block.ms": "10000",
}


class SetAside(NamedTuple):
    """Why a record is a dead letter, and whether it is in its customer's state anyway.

    size: bytes of its key and value; None where these are no more than a transaction may have.
    """

    reason: str
    folded: bool = False
    size: int | None = None


class _Merged(AccumulatorParam[dict[Place, SetAside]]):
    def zero(self, value: dict[Place, SetAside]) -> dict[Place, SetAside]:
        return {}

    def addInPlace(self, value1: dict[Place, SetAside], value2: dict[Place, SetAside]) -> dict[Place, SetAside]:
        value1.update(value2)
        return value1


SetAsides = Accumulator[dict[Place, SetAside]]
"""What tasks set aside: `.add({(partition, offset): SetAside(reason)})`. A repeated task may add the same again."""


def set_asides(spark: SparkSession) -> SetAsides:
    """A new, empty accumulator; its `.value` is read by the driver once a job is done."""
    return spark.sparkContext.accumulator({}, _Merged())


class DeadLetters:
    """Writes records that were set aside, whole, or truncated where they have more bytes than the topic of dead letters takes.

    room: so many bytes of key and value are sent whole. What is larger would perhaps be taken, where it compresses well, and
    be a danger to whoever reads it.

    Runs in the driver, in the JVM by its own Kafka client: contents never come to Python, and Java unpacks
    records one at a time, even those that compression made a thousand times smaller.
    """

    def __init__(self, spark: SparkSession, settings: Settings, room: int) -> None:
        self._spark = spark
        self._settings = settings
        self._room = room

    def write(self, found: Mapping[Place, SetAside], stopping: Callable[[], bool]) -> None:
        """Send a dead letter for each record; returns once the broker has them all.

        Raises TimeoutError where Kafka does not answer for two minutes, and `Stopping` where it does not and the application
        has been asked to stop. What had been sent is sent again by the next attempt.
        """
        patience = Patience(stopping)
        reader = RecordReader(self._spark, self._settings, self._settings.transactions_topic)
        with reader, _producer(self._spark, self._settings) as producer:
            sender = _Sender(self._spark, self._settings, producer, patience, self._room)
            for place in sorted(found):
                sender.send(place, found[place], reader.read(*place, patience.check))
            sender.finish()


class Patience:
    """How long Kafka may stay silent: two minutes, or no longer once the application has been asked to stop."""

    def __init__(self, stopping: Callable[[], bool], seconds: float = _PATIENCE_SECONDS) -> None:
        self._stopping = stopping
        self._seconds = seconds
        self.renew()

    def renew(self) -> None:
        """Kafka has answered."""
        self._until = time.monotonic() + self._seconds

    def check(self) -> None:
        """Raise where further waiting is no use."""
        if self._stopping():
            raise Stopping
        if time.monotonic() > self._until:
            raise TimeoutError(f"Kafka has not answered for {self._seconds:.0f} s while dead letters were written")


class _Sent(NamedTuple):
    place: Place
    why: SetAside
    record: JavaRecord | None
    size: int
    answer: Any


class _Sender:
    """Sends dead letters without waiting for each, and those that were refused again, truncated."""

    def __init__(self, spark: SparkSession, settings: Settings, producer: Any, patience: Patience, room: int) -> None:
        self._room = room
        self._jvm: Any = spark._jvm
        self._settings = settings
        self._producer = producer
        self._patience = patience
        self._waiting: deque[_Sent] = deque()
        self._bytes = 0

    def send(self, place: Place, why: SetAside, record: JavaRecord | None) -> None:
        self._patience.renew()
        size = 0 if record is None else record.size
        letter = self._letter(place, why, record, CUTS[0] if size > self._room else None)
        self._waiting.append(_Sent(place, why, record, size, self._handed_over(letter)))
        self._bytes += self._waiting[-1].size
        while self._bytes > _IN_FLIGHT_BYTES:
            self._await_first()

    def finish(self) -> None:
        """Wait until the broker has all."""
        while self._waiting:
            self._await_first()

    def _await_first(self) -> None:
        sent = self._waiting.popleft()
        self._bytes -= sent.size
        if not self._accepted(sent.answer):
            self._send_truncated(sent)

    def _send_truncated(self, sent: _Sent) -> None:
        for cut in CUTS:
            letter = self._letter(sent.place, sent.why, sent.record, cut)
            if self._accepted(self._handed_over(letter)):
                _log.info("the record %d/%d was too large for %s and was truncated", *sent.place, letter.topic())
                return
        raise ValueError(
            f"the topic {self._settings.invalid_topic} takes not even an empty dead letter: give it a max.message.bytes of at "
            "least 2,000 (kafka-configs.sh --alter)"
        )

    def _letter(
        self, place: Place, why: SetAside, record: JavaRecord | None, cut: tuple[int, int, int] | None = None
    ) -> Any:
        key, value = (None, None) if record is None else (record.key, record.value)
        headers = {"reason": why.reason, "topic": self._settings.transactions_topic}
        headers |= {"partition": str(place[0]), "offset": str(place[1])}
        if record is not None:
            headers["kafka_time"] = str(record.kafka_time)
        if why.folded:
            headers["folded"] = "true"
        if record is None:
            headers |= {"truncated": "true", "gone": "true"}
        elif cut is not None:
            of_key, of_value, of_reason = cut
            headers |= {
                "reason": why.reason[:of_reason],
                "truncated": "true",
                "original_key_bytes": str(record.key_bytes),
                "original_value_bytes": str(record.value_bytes),
                "sha256": record.value_sha256(),
            }
            key, value = record.key_head(of_key), record.value_head(of_value)
        letter = self._jvm.org.apache.kafka.clients.producer.ProducerRecord(self._settings.invalid_topic, key, value)
        for name, text in headers.items():
            letter.headers().add(name, text.encode())
        return letter

    def _handed_over(self, letter: Any) -> Any:
        """The producer's pending answer."""
        return self._producer.send(letter)

    def _accepted(self, answer: Any) -> bool:
        """Wait for the broker's answer; False where the record is too large. Raises any other error."""
        while True:
            try:
                answer.get(1, self._jvm.java.util.concurrent.TimeUnit.SECONDS)
            except Py4JJavaError as error:
                causes = _causes(error)
                if causes[0] == "java.util.concurrent.TimeoutException":
                    self._patience.check()
                    continue
                if any(name.endswith(_TOO_LARGE) for name in causes):
                    return False
                raise
            self._patience.renew()
            return True


@contextmanager
def _producer(spark: SparkSession, settings: Settings) -> Iterator[Any]:
    jvm: Any = spark._jvm
    producer = java_producer(spark, settings, _PRODUCER)
    try:
        yield producer
    finally:
        producer.close(jvm.java.time.Duration.ofSeconds(5))


def _causes(error: Py4JJavaError) -> list[str]:
    """The names of a Java exception's classes, and of what caused it."""
    names = []
    cause: Any = error.java_exception
    while cause is not None:
        names.append(str(cause.getClass().getName()))
        cause = cause.getCause()
    return names
