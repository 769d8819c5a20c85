"""A record of the log, as the tail works on it."""

from typing import NamedTuple

from confluent_kafka import TIMESTAMP_NOT_AVAILABLE, Message

from messaging.headers import headers_of
from serving.intake import request_of, trace_of
from serving.stamp import Stamp


class Record(NamedTuple):
    """kafka_time: ms, -1 where Kafka knows none. request: who asked for it by HTTP. trace: its W3C trace context.

    stamp: by what it is judged, where it came by HTTP.
    """

    partition: int
    offset: int
    kafka_time: int
    key: bytes | None
    value: bytes | None
    request: bytes | None
    trace: bytes | None
    stamp: Stamp | None = None


def record_of(message: Message) -> Record:
    """What a message is, whoever wrote it."""
    partition, offset = message.partition(), message.offset()
    assert partition is not None  # as is every record's that was read
    assert offset is not None
    kind, kafka_time = message.timestamp()
    headers = headers_of(message)
    return Record(
        partition,
        offset,
        -1 if kind == TIMESTAMP_NOT_AVAILABLE else kafka_time,
        message.key(),
        message.value(),
        request_of(headers),
        trace_of(headers),
        Stamp.of(headers),
    )
