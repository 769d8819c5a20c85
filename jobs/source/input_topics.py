"""The topics that a query reads: whether they are still those that its checkpoint began with, and what they lost."""

import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final

import msgspec
from kafka.errors import KafkaError, TopicAuthorizationFailedError
from pyspark.errors import StreamingQueryException
from pyspark.sql import SparkSession
from pyspark.sql.streaming import StreamingQuery

from detection import durable_folder
from detection.storage import decoded
from jobs.runtime import logs
from jobs.runtime.errors import Fatal, Unavailable
from jobs.runtime.storage import DurableFolder
from jobs.source.topic_client import Topic, TopicClient
from jobs.source.topic_offsets import QueryCheckpoint
from settings import Settings

_log = logging.getLogger(__name__)

_WATCH_SECONDS: Final = 5


class MadeAgain(Exception):
    """A topic was deleted and made again: its offsets begin again, and those of the checkpoint are of another topic."""


class InputTopics:
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
        self._kafka = TopicClient(settings)
        self._ids: dict[str, str] = {}

    @contextmanager
    def starting(self) -> Iterator[None]:
        """Around the start of the query: first compares the topics with those recorded, and rewinds where one was made again.

        Raises `Fatal` where it may not, `Unavailable` where Kafka or a topic is unavailable. Where the start fails, the
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
        recorded = recorded_ids(self._record, self._query)
        self._ids = {name: topic.id for name, topic in found.items()}
        again = {name: found[name] for name, known in recorded.items() if name in found and found[name].differs(known)}
        if again:
            self._rewind(again)
        if self._ids != recorded:
            self._record.write_newest(self._query, msgspec.json.encode(self._ids))

    def id_of(self, topic: str) -> str:
        """The id of a topic that the query reads."""
        return self._ids[topic]

    def id_now(self, topic: str) -> str | None:
        """The id of any topic by now: None where there is none, empty where Kafka does not say. Raises KafkaError."""
        try:
            return self._kafka.topics([topic])[topic].id
        except Unavailable:
            return None
        except TopicAuthorizationFailedError:
            return ""

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

    def report_losses(self, micro_batch: int) -> None:
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
            pass  # the supervisor reports it
        finally:
            self._kafka.close()

    def _rewind(self, again: Mapping[str, Topic]) -> None:
        names = " and ".join(again)
        if not self._accept_loss:
            raise Fatal(
                f"{_made_again(names)} since {self._query} read from it last: what it held and was not read is lost, and "
                f"its offsets begin again. To read the new one from its beginning, start with {accept_flag(self._query)} true"
            )
        dropped = self._checkpoint.begin_again({name: topic.partitions for name, topic in again.items()}, self._forget)
        _log.error(
            "%s; the new one is read from its beginning%s",
            _made_again(names),
            "" if dropped is None else f"; micro-batch {dropped}, which was planned of the old one, is dropped",
        )


def _made_again(name: str) -> str:
    return f"the topic {name} was deleted and made again"


def recorded_ids(folder: durable_folder.DurableFolder, query: str) -> dict[str, str]:
    """The ids by which a query knows its topics, by name; {} before its first start. Raises `CheckpointIncomplete`."""
    content = folder.read_newest(query)
    return {} if content is None else decoded(content, f"topics/{query}", msgspec.json.Decoder(dict[str, str]).decode)


def accept_flag(query: str) -> str:
    """The flag by which a query goes on without records that are lost."""
    return "--accept-data-loss" if query == "detect" else f"--{query}-accept-data-loss"
