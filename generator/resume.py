"""Where an earlier run of traffic ended, and the labels that it had not sent yet: from the transactions on the topic."""

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from itertools import islice
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition
from tenacity import retry, retry_if_exception_type, stop_after_delay, wait_fixed

from generator.drafts import HOUR_MS
from generator.history import Origin
from generator.live import Kafka
from generator.producer import CONNECT_SECONDS, KafkaUnreachable
from generator.stream import milliseconds
from generator.tables import LABEL_ARROW
from generator.worlds import batches
from messaging.unreachable import why_unreachable
from ml.schema import Label, Reader, Transaction, Unreadable

LOOKED_AT: Final = 100  # records of each partition: the first and last ones may not be transactions
_reader: Final = Reader(Transaction)


def newest_event_time(kafka: Kafka) -> datetime | None:
    """The newest event_time, not in the future, among the last transactions on their topic; None where it has none.

    Raises KafkaUnreachable where no broker answers.
    """
    now = datetime.now(UTC)
    return max((moment for moment in _event_times(kafka, False) if moment <= now), default=None)


def unsent_labels(origin: Origin, kafka: Kafka, begin: datetime) -> list[Label]:
    """The labels that earlier live traffic, which ended just before `begin`, had not sent because they were not due.

    The traffic is made again, as far as it is on the topic; it has to have been sent with the same origin. Raises
    KafkaUnreachable where no broker answers.
    """
    found = _event_times(kafka, True)
    since = max(min(found, default=begin), origin.live_start)
    hours = 1 + milliseconds(begin) // HOUR_MS - milliseconds(since) // HOUR_MS
    time = LABEL_ARROW.field("label_time").type
    labels: list[Label] = []
    for batch in islice(batches(origin.world(), since, origin.run, origin.reporting), hours):
        sent = batch.transactions.filter(pc.field("event_time") < pa.scalar(begin, time))["transaction_id"]
        owed = (pc.field("label_time") >= pa.scalar(begin, time)) & pc.field("transaction_id").isin(
            sent.combine_chunks()
        )
        labels += [Label(**row) for row in batch.labels.filter(owed).to_pylist()]
    return labels


def _event_times(kafka: Kafka, first: bool) -> list[datetime]:
    """Of the first or the last transactions in each partition."""
    configuration: dict[str, str | int | float | bool] = {
        **kafka.config.for_confluent_consumer(),
        "group.id": "scoreline-generator",  # librdkafka wants one; nothing is committed
        "enable.auto.commit": False,
        "enable.partition.eof": True,
        "log_level": 2,
    }
    try:
        return _read_event_times(configuration, kafka.topics.transactions, first)
    except KafkaException as error:
        why = why_unreachable(kafka.config) or error.args[0].str()
        raise KafkaUnreachable(f"no Kafka broker answers at {kafka.config.servers}: {why}") from None


@retry(retry=retry_if_exception_type(KafkaException), stop=stop_after_delay(10), wait=wait_fixed(0.5), reraise=True)
def _read_event_times(configuration: dict[str, str | int | float | bool], topic: str, first: bool) -> list[datetime]:
    # A topic that was just made has no leader yet; a moment later it has.
    with closing(Consumer(configuration)) as consumer:
        return [transaction.event_time for transaction in _outermost(consumer, topic, first)]


def _outermost(consumer: Consumer, topic: str, first: bool) -> Iterator[Transaction]:
    known = consumer.list_topics(topic, timeout=CONNECT_SECONDS).topics[topic]
    for number in sorted(known.partitions):
        begin, end = consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=CONNECT_SECONDS)
        begin, end = (begin, min(end, begin + LOOKED_AT)) if first else (max(begin, end - LOOKED_AT), end)
        consumer.assign([TopicPartition(topic, number, begin)])
        for message in _until(consumer, begin, end):
            try:
                yield _reader.read(message.value())
            except Unreadable:
                continue  # a dead letter, as the job will find


def _until(consumer: Consumer, begin: int, end: int) -> Iterator[Message]:
    """The assigned partition's records up to an offset; fewer than offsets, where a producer used Kafka's transactions."""
    offset = begin
    while offset < end:
        messages = consumer.consume(end - offset, timeout=CONNECT_SECONDS)
        for message in messages:
            error = message.error()
            if error is None:
                offset = (message.offset() or 0) + 1
                yield message
            elif error.code() == KafkaError._PARTITION_EOF:
                return
        if not messages:
            return
