"""The topics that a query reads: whether they are still those that its checkpoint began with, and what they lost."""

import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

import msgspec
from kafka import KafkaAdminClient, TopicPartition
from kafka.admin import OffsetSpec
from kafka.errors import KafkaError, NoError, UnknownTopicOrPartitionError, for_code
from pyspark.errors import StreamingQueryException
from pyspark.sql import SparkSession
from pyspark.sql.streaming import StreamingQuery

from jobs.runtime import logs
from jobs.runtime.errors import Fatal, Unavailable
from jobs.runtime.storage import DurableFolder
from jobs.source.topic_offsets import QueryCheckpoint
from messaging.config import KafkaConfig
from settings import Settings

_log = logging.getLogger(__name__)

_TIMEOUT_MS: Final = 3_000
_WATCH_SECONDS: Final = 5.0


class MadeAgain(Exception):
    """A topic was deleted and made again: its offsets begin again, and those of the checkpoint are of another topic."""


class Topic(NamedTuple):
    """What Kafka says of a topic: its id, which a topic that is made again under the same name does not share.

    Brokers before Kafka 2.8 know no ids; then it is empty, and all topics of a name are the same.
    """

    id: str
    partitions: list[int]

    def differs(self, id: str) -> bool:
        """Whether this is another topic than one with that id."""
        return bool(self.id and id) and self.id != id


class Inputs:
    """The topics of one query.

    Their ids are recorded beside the checkpoint. (id, partition, offset) is what a record is known by: the name is not
    enough. accept_loss: read a topic that was made again from its beginning, and go on without records that Kafka no
    longer has; else both are `Fatal`. forget: called with the number of a micro-batch that was planned but never
    committed, when it is dropped.
    """

    def __init__(
        self,
        spark: SparkSession,
        settings: Settings,
        query: str,
        topics: Sequence[str],
        accept_loss: bool,
        forget: Callable[[int], None] = lambda micro_batch: None,
    ) -> None:
        self._query = query
        self._topics = list(topics)
        self._accept_loss = accept_loss
        self._forget = forget
        self._record = DurableFolder(spark, f"{settings.checkpoint}/topics")
        self._checkpoint = QueryCheckpoint(spark, f"{settings.checkpoint}/{query}")
        self._kafka = _Kafka(settings)
        self._ids: dict[str, str] = {}

    @contextmanager
    def starting(self) -> Iterator[None]:
        """Around the start of the query: first compares the topics with those recorded, and rewinds where one was made again.

        Raises `Fatal` where it may not, `Unavailable` where Kafka or a topic is not there now. Where the start fails, the
        connection to Kafka is closed; else `watch` does that.
        """
        try:
            self._prepare()
            yield
        except BaseException:
            self._kafka.close()
            raise

    def _prepare(self) -> None:
        try:
            found = self._kafka.topics(self._topics)
        except KafkaError as error:
            raise Unavailable(f"Kafka does not say what {' and '.join(self._topics)} are: {error!r}") from None
        self._checkpoint.restore()
        content = self._record.read_newest(self._query)
        recorded: dict[str, str] = {} if content is None else msgspec.json.decode(content)
        self._ids = {name: topic.id for name, topic in found.items()}
        again = {name: found[name] for name, known in recorded.items() if name in found and found[name].differs(known)}
        if again:
            self._rewind(again)
        if self._ids != recorded:
            self._record.write_newest(self._query, msgspec.json.encode(self._ids))

    def id_of(self, topic: str) -> str:
        """The id of a topic that the query reads."""
        return self._ids[topic]

    def check(self) -> None:
        """At the start and at the end of a micro-batch, before anything is recorded or committed. Raises `MadeAgain`.

        Where Kafka does not answer nothing is known, and the reading itself will wait or fail.
        """
        try:
            found = self._kafka.topics(self._topics)
        except Unavailable as gone:
            raise MadeAgain(str(gone)) from None
        except KafkaError:
            return
        for name, topic in found.items():
            if topic.differs(self._ids[name]):
                raise MadeAgain(_made_again(name))

    def tell_losses(self, micro_batch: int) -> None:
        """Log how many of a micro-batch's records Kafka no longer has, by partition, where such a loss is accepted."""
        if not self._accept_loss:
            return
        start, end = self._checkpoint.of(micro_batch)
        try:
            first = self._kafka.first_offsets({name: [int(p) for p in end.get(name, {})] for name in self._topics})
        except KafkaError:
            return
        for name in self._topics:
            lost = {
                int(p): min(first[name, int(p)], last) - start.get(name, {}).get(p, 0)
                for p, last in end.get(name, {}).items()
            }
            lost = {partition: count for partition, count in sorted(lost.items()) if count > 0}
            if lost:
                _log.error(
                    "lost %d records of %s, which Kafka deleted before they were read (by partition: %s); going on with "
                    "what is left",
                    sum(lost.values()),
                    name,
                    ", ".join(f"{partition}: {count}" for partition, count in lost.items()),
                )

    def watch(self, query: StreamingQuery) -> None:
        """Stop the query when a topic is made again, for as long as it runs: without new records no micro-batch looks."""
        threading.Thread(target=self._watch, args=(query,), name=f"{self._query}'s topics", daemon=True).start()

    def _watch(self, query: StreamingQuery) -> None:
        logs.query.set(self._query)
        try:
            while query.isActive:
                self.check()
                query.awaitTermination(_WATCH_SECONDS)
        except MadeAgain as error:
            _log.warning("%s; starting the query again", error)
            query.stop()
        except StreamingQueryException:
            pass  # the supervisor says so
        finally:
            self._kafka.close()

    def _rewind(self, again: Mapping[str, Topic]) -> None:
        names = " and ".join(again)
        if not self._accept_loss:
            raise Fatal(
                f"{_made_again(names)} since {self._query} read from it last: what it held and was not read is lost, and "
                f"its offsets begin again. To read the new one from its beginning, start with {_flag(self._query)} true"
            )
        dropped = self._checkpoint.begin_again({name: topic.partitions for name, topic in again.items()}, self._forget)
        _log.error(
            "%s; the new one is read from its beginning%s",
            _made_again(names),
            "" if dropped is None else f"; micro-batch {dropped}, which was planned of the old one, is dropped",
        )


def _made_again(name: str) -> str:
    return f"the topic {name} was deleted and made again"


def _flag(query: str) -> str:
    return "--accept-data-loss" if query == "detect" else f"--{query}-accept-data-loss"


def data_loss(spark: SparkSession, settings: Settings, query: str, said: str) -> Exception:
    """What it means that Spark misses records of a query: `Fatal`, or `Unavailable` where that can't be told now."""
    content = DurableFolder(spark, f"{settings.checkpoint}/topics").read_newest(query)
    recorded: dict[str, str] = {} if content is None else msgspec.json.decode(content)
    kafka = _Kafka(settings)
    try:
        found = kafka.topics(list(recorded))
    except Unavailable as gone:
        return gone
    except KafkaError as error:
        return Unavailable(f"Kafka does not answer ({error!r}), after records were missing: {said}")
    finally:
        kafka.close()
    if any(found[name].differs(known) for name, known in recorded.items()):
        return Unavailable("a topic was deleted and made again")  # the next start says which, and what to do
    if getattr(settings, _flag(query).removeprefix("--").replace("-", "_"), False):
        return Unavailable(f"Kafka deleted records while they were read: {said}")
    return Fatal(
        f"Kafka no longer has records that were not read yet (retention was shorter than the job's pause): {said}. "
        f"To go on with what is left, start with {_flag(query)} true"
    )


class _Kafka:
    """An administrator's connection that is kept, and made again after a failure. For several threads."""

    def __init__(self, settings: Settings) -> None:
        timeouts = {"request_timeout_ms": _TIMEOUT_MS, "bootstrap_timeout_ms": _TIMEOUT_MS}
        self._options: dict[str, Any] = KafkaConfig.from_settings(settings).for_kafka_python() | timeouts
        self._lock = threading.Lock()
        self._admin: KafkaAdminClient | None = None
        self._closed = False

    def topics(self, names: Sequence[str]) -> dict[str, Topic]:
        """The topics by name. Raises `Unavailable` where one is not there, KafkaError where Kafka does not say."""
        described = self._ask(lambda admin: admin.describe_topics(list(names)))
        for topic in described:
            error = for_code(topic["error_code"])
            if error is UnknownTopicOrPartitionError:
                raise Unavailable(f"the topic {topic['name']} is not there now: it is waited for")
            if error is not NoError:
                raise error(f"topic {topic['name']}")
        return {
            topic["name"]: Topic(str(topic.get("topic_id", "")), [p["partition_index"] for p in topic["partitions"]])
            for topic in described
        }

    def first_offsets(self, partitions: Mapping[str, Sequence[int]]) -> dict[tuple[str, int], int]:
        """The oldest offset that each partition has. Raises KafkaError."""
        places = [TopicPartition(name, number) for name, numbers in partitions.items() for number in numbers]
        found = self._ask(lambda admin: admin.list_partition_offsets(dict.fromkeys(places, OffsetSpec.EARLIEST)))
        return {(place.topic, place.partition): found[place].offset for place in places}

    def close(self) -> None:
        """Let go of the connection, for good: a micro-batch that still runs gets no answer any more."""
        with self._lock:
            self._closed = True
            if self._admin is not None:
                self._admin.close()
                self._admin = None

    def _ask(self, question: Callable[[KafkaAdminClient], Any]) -> Any:
        with self._lock:
            if self._closed:
                raise KafkaError("the query has ended")
            try:
                if self._admin is None:
                    self._admin = KafkaAdminClient(**self._options)
                return question(self._admin)
            except Exception as error:
                admin, self._admin = self._admin, None
                if admin is not None:
                    admin.close()
                raise error if isinstance(error, KafkaError) else KafkaError(repr(error)) from error
