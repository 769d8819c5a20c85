"""Reads all scores that a topic of Kafka holds."""

from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from typing import Final

from messaging.config import KafkaConfig
from messaging.errors import ReadError
from messaging.reader import Reader
from ml.evaluation.errors import EvaluationError
from ml.evaluation.scored import Scored, scored_from
from ml.progress import Progress, silent
from ml.schema import Reader as ScoreReader
from ml.schema import Score, Unreadable

_MOST: Final = 200_000
_scores: Final = ScoreReader(Score)

_AT_ONCE: Final = 5_000
"""Records between two reports of progress."""


def read_scores(kafka: KafkaConfig, topic: str, progress: Progress = silent) -> dict[int, Scored]:
    """All scores that a topic holds now; see `scored_from`. Raises `EvaluationError` where Kafka does not have them."""
    return scored_from(topic, _records(kafka, topic, progress))


def read_trial(kafka: KafkaConfig, topic: str, progress: Progress = silent) -> list[Score]:
    """The scores of a topic that two models spoke of, the newest `_MOST` of them. Raises `EvaluationError` as `read_scores`."""
    found: deque[Score] = deque(maxlen=_MOST)
    for _, value in _records(kafka, topic, progress):
        if value is not None and (b'"challenger":' in value or b'"champion":' in value):
            with suppress(Unreadable):  # another's, or of an earlier release
                found.append(_scores.read(value))
    return list(found)


def _records(kafka: KafkaConfig, topic: str, progress: Progress) -> Iterator[tuple[str, bytes | None]]:
    """Each record's place and value. Raises `EvaluationError`."""
    try:
        with Reader(kafka, topic) as reader:
            ends = reader.ends(topic)
            if not ends:
                raise ReadError("there is no such topic")
            yield from _counted(reader, topic, sum(ends.values()), progress)
    except ReadError as error:
        raise EvaluationError(f"the topic {topic} can't be read from Kafka at {kafka.servers}: {error}") from None


def _counted(reader: Reader, topic: str, end: int, progress: Progress) -> Iterator[tuple[str, bytes | None]]:
    """Each record's place and value."""
    stage = f"reading {topic}"
    progress(stage, 0, end)
    for number, message in enumerate(reader.read_all(), 1):
        if number % _AT_ONCE == 0:
            progress(stage, min(number, end), end)
        yield f"partition {message.partition()}, offset {message.offset()}", message.value()
    progress(stage, end, end)
