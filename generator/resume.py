"""Where an earlier run of traffic ended: the newest transaction on the topic."""

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from typing import Final

import msgspec
from confluent_kafka import Consumer, KafkaException, TopicPartition
from tenacity import retry, retry_if_exception_type, stop_after_delay, wait_fixed

from generator.producer import CONNECT_SECONDS, KafkaUnreachable, Security
from ml.schema import Transaction

LAST_RECORDS: Final = 100  # of each partition: the very last ones may be no transactions
_decode = msgspec.json.Decoder(Transaction).decode


def newest_event_time(servers: str, topic: str, security: Security) -> datetime | None:
    """The newest event_time, not in the future, among the last records of a topic; None where it has none.

    Raises KafkaUnreachable where no broker answers.
    """
    configuration: dict[str, str | int | float | bool] = {
        "bootstrap.servers": servers,
        "group.id": "scoreline-generator",  # librdkafka wants one; nothing is committed
        "enable.auto.commit": False,
        "enable.partition.eof": False,
        "log_level": 2,
        **security,
    }
    now = datetime.now(UTC)
    try:
        times = _last_event_times(configuration, topic)
    except KafkaException as error:
        raise KafkaUnreachable(
            f"no Kafka broker answers at {servers} ({error.args[0].str()}); start one, or set KAFKA_BOOTSTRAP_SERVERS"
        ) from None
    return max((moment for moment in times if moment <= now), default=None)


@retry(retry=retry_if_exception_type(KafkaException), stop=stop_after_delay(10), wait=wait_fixed(0.5), reraise=True)
def _last_event_times(configuration: dict[str, str | int | float | bool], topic: str) -> list[datetime]:
    # A topic that was just made has no leader yet; a moment later it has.
    with closing(Consumer(configuration)) as consumer:
        return [transaction.event_time for transaction in _last_transactions(consumer, topic)]


def _last_transactions(consumer: Consumer, topic: str) -> Iterator[Transaction]:
    known = consumer.list_topics(topic, timeout=CONNECT_SECONDS).topics[topic]
    for number in sorted(known.partitions):
        first, end = consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=CONNECT_SECONDS)
        begin = max(first, end - LAST_RECORDS)
        consumer.assign([TopicPartition(topic, number, begin)])
        for message in consumer.consume(end - begin, timeout=CONNECT_SECONDS) if end > begin else ():
            try:
                yield _decode(message.value() or b"")
            except msgspec.DecodeError:
                continue  # a dead letter, as the job will find
