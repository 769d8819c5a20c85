"""What Kafka says of the topic that the service follows."""

import base64
import threading
import uuid
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

from confluent_kafka import Consumer, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient

from messaging.config import KafkaConfig
from messaging.unreachable import why_unreachable
from serving.errors import RecordsMissing, ServiceError

_ANSWER_SECONDS: Final = 10.0
_LOOK_SECONDS: Final = 5.0


class Log(NamedTuple):
    """A topic: its id ("" where the broker knows none), and by partition the first offset that it still has and the next."""

    topic: str
    id: str
    first: dict[int, int]
    end: dict[int, int]
    partitions: int = 0
    """Partitions of the whole topic."""

    @classmethod
    def look(cls, kafka: KafkaConfig, topic: str, ours: Callable[[int], bool] = lambda partition: True) -> "Log":
        """What Kafka says now of the partitions that are `ours`.

        Raises `ServiceError` where it does not answer, has no such topic, or none of its partitions is ours.
        """
        consumer = Consumer({**kafka.for_confluent_consumer(), "group.id": "serving", "log_level": 2})
        try:
            listed = consumer.list_topics(topic, _ANSWER_SECONDS).topics[topic]
            if listed.error is not None:
                raise ServiceError(
                    f"Kafka at {kafka.servers} has no topic {topic} ({listed.error.str()}): create it first"
                )
            marks = {
                number: consumer.get_watermark_offsets(TopicPartition(topic, number), _ANSWER_SECONDS)
                for number in sorted(listed.partitions)
                if ours(number)
            }
        except KafkaException as error:
            why = why_unreachable(kafka) or error.args[0].str()
            raise ServiceError(f"Kafka at {kafka.servers} does not answer: {why}") from error
        finally:
            consumer.close()
        first = {number: int(low) for number, (low, _) in marks.items()}
        if not first:
            raise ServiceError(f"none of {topic}'s {len(listed.partitions)} partitions is to be served here")
        end = {number: int(high) for number, (_, high) in marks.items()}
        return cls(topic, _id_of(kafka, topic), first, end, len(listed.partitions))

    def start(self, offsets: dict[int, int] | None) -> dict[int, int]:
        """Where to begin to read, by partition: from a state's offsets on, else from the beginning.

        Raises `RecordsMissing` where the log no longer has what comes next.
        """
        if offsets is None:
            return dict(self.first)
        start = {number: offsets.get(number, 0) for number in self.first}
        gone = [
            f"partition {n}, offsets {start[n]:,} to {low - 1:,}" for n, low in self.first.items() if start[n] < low
        ]
        beyond = [f"partition {n}: {start[n]:,} of {end:,}" for n, end in self.end.items() if start[n] > end]
        if gone:
            raise RecordsMissing(
                f"the log has been cut: {self.topic} no longer has {'; '.join(gone)}, which the state does not know. Take the "
                "state of the running job (scoreline state export) or of a training, and start with --rebuild"
            )
        if beyond:
            raise RecordsMissing(
                f"the state knows records that {self.topic} does not have ({'; '.join(beyond)}): the topic was made again, or "
                "the state is another one's. Start with --rebuild"
            )
        return start


class PartitionWatch(threading.Thread):
    """Looks every five seconds how many partitions the log has, and whether it is still the same one.

    seen: gets the partitions' numbers. gone: told in words that the topic was made again. Both are called in this thread.
    """

    def __init__(
        self, kafka: KafkaConfig, log: Log, seen: Callable[[Iterable[int]], None], gone: Callable[[str], None]
    ) -> None:
        super().__init__(name="partitions", daemon=True)
        self._kafka = kafka
        self._topic = log.topic
        self._id = log.id
        self._seen = seen
        self._gone = gone
        self._stopped = threading.Event()

    def run(self) -> None:
        """Until `stop`. A broker that does not answer is asked again."""
        admin = AdminClient({**self._kafka.for_confluent(), "log_level": 2})
        while not self._stopped.wait(_LOOK_SECONDS):
            try:
                listed = admin.list_topics(self._topic, _ANSWER_SECONDS).topics[self._topic]
            except KafkaException:
                continue
            if listed.error is not None:
                continue
            now = _id_of(self._kafka, self._topic)
            if self._id and now and now != self._id:
                self._gone(
                    f"the topic {self._topic} was made again ({self._id} then, {now} now), and this service knows the one "
                    "before: start it with --rebuild"
                )
                return
            self._seen(listed.partitions)

    def stop(self) -> None:
        """End before the next look."""
        self._stopped.set()


def _id_of(kafka: KafkaConfig, topic: str) -> str:
    admin = AdminClient({**kafka.for_confluent(), "log_level": 2})
    try:
        described = admin.describe_topics(TopicCollection([topic]), request_timeout=_ANSWER_SECONDS)[topic].result()
    except KafkaException:  # brokers before 2.8, or one that does not let us ask
        return ""
    named = str(described.topic_id or "")
    # As Kafka's tools print it; the job's records have the form of Java's UUID.
    return str(uuid.UUID(bytes=base64.urlsafe_b64decode(f"{named}=="))) if named else ""
