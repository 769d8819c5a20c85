"""Reads what a system has written: when each output reached its topic, and when its input had been sent."""

import time
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np
from confluent_kafka import Consumer, KafkaException, TopicPartition
from tenacity import retry, retry_if_exception_type, stop_after_delay, wait_fixed

from bench.errors import BenchError
from bench.figures import Times
from messaging.config import KafkaConfig

_AT_ONCE: Final = 20_000
_TIMEOUT_SECONDS: Final = 30.0


class Outputs(NamedTuple):
    """Two (n,) arrays in the order of `written`: Kafka's time of the output, and its input's (0 where it was not asked for)."""

    written: Times
    sent: Times

    def since(self, sent_ms: int) -> "Outputs":
        """Those whose input was sent then or later."""
        later = self.sent >= sent_ms
        return Outputs(self.written[later], self.sent[later])


class _Stamp(msgspec.Struct):
    kafka_time: int


_kafka_time: Final = msgspec.json.Decoder(_Stamp).decode


class Topic:
    """A topic, read onward from where the last reading ended."""

    def __init__(self, servers: str, name: str) -> None:
        self._name = name
        self._consumer = Consumer(
            {
                **KafkaConfig(servers).for_confluent_consumer(),
                "group.id": "bench",
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
                "fetch.message.max.bytes": 8 << 20,
                "log_level": 2,
            }
        )
        topics = self._consumer.list_topics(name, timeout=_TIMEOUT_SECONDS).topics
        self._next = dict.fromkeys(topics[name].partitions, 0)

    def size(self) -> int:
        """How many records it has by now."""
        return sum(self._ends().values())

    def await_quiet(self, seconds: float) -> None:
        """Until nothing has come for so long."""
        size, since = self.size(), time.monotonic()
        while time.monotonic() < since + seconds:
            time.sleep(0.2)
            if (now := self.size()) != size:
                size, since = now, time.monotonic()

    def read(self, with_inputs: bool) -> Outputs:
        """What has come since the last reading; of an input its timestamp is the output's own."""
        ends = self._ends()
        written: list[int] = []
        sent: list[int] = []
        missing = sum(ends.values()) - sum(self._next.values())
        self._consumer.assign([TopicPartition(self._name, number, offset) for number, offset in self._next.items()])
        while len(written) < missing:
            messages: list[Any] = self._consumer.consume(min(_AT_ONCE, missing - len(written)), _TIMEOUT_SECONDS)
            if not messages:
                raise BenchError(f"topic {self._name} has {missing:,} more records, but Kafka gave {len(written):,}")
            for message in messages:
                if message.error():
                    raise KafkaException(message.error())
            written += [message.timestamp()[1] for message in messages]
            if with_inputs:
                sent += [_kafka_time(message.value()).kafka_time for message in messages]
            for message in messages:
                self._next[message.partition()] = message.offset() + 1
        self._consumer.unassign()
        times = np.array(written, np.int64)
        order = np.argsort(times, kind="stable")
        return Outputs(times[order], np.array(sent, np.int64)[order] if with_inputs else np.zeros(len(times), np.int64))

    def close(self) -> None:
        self._consumer.close()

    def _ends(self) -> dict[int, int]:
        return {number: self._end(TopicPartition(self._name, number)) for number in self._next}

    @retry(retry=retry_if_exception_type(KafkaException), stop=stop_after_delay(_TIMEOUT_SECONDS), wait=wait_fixed(0.2))
    def _end(self, partition: TopicPartition) -> int:
        """Asks again where Kafka's answer is an error, as it may be for a topic that was just made."""
        low_high = self._consumer.get_watermark_offsets(partition, timeout=_TIMEOUT_SECONDS)
        if low_high is None:
            raise BenchError(f"Kafka did not say within {_TIMEOUT_SECONDS:.0f} s how far topic {self._name} reaches")
        return int(low_high[1])
