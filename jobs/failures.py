"""Messages that a step of our own failed for, or whose extras are none: counted by the tasks, reported in the log."""

import logging
from typing import Final, NamedTuple, Self

from pyspark import Accumulator, AccumulatorParam
from pyspark.sql import SparkSession

from jobs.dead_letters import Place

_log = logging.getLogger(__name__)

MOST_NAMED: Final = 10
"""Messages of a micro-batch that are named in the log; of more, only the number is logged."""


class Failures(NamedTuple):
    """How many messages failed in all, and why the first ones did, by their place; at most `MOST_NAMED` of these."""

    total: int
    first: dict[Place, str]

    @classmethod
    def from_reasons(cls, reasons: dict[Place, str]) -> Self:
        """Messages with their reasons."""
        return cls(len(reasons), {place: reasons[place] for place in sorted(reasons)[:MOST_NAMED]})


class _Added(AccumulatorParam[Failures]):
    def zero(self, value: Failures) -> Failures:
        return Failures(0, {})

    def addInPlace(self, value1: Failures, value2: Failures) -> Failures:
        return Failures(value1.total + value2.total, Failures.from_reasons(value1.first | value2.first).first)


FailureCount = Accumulator[Failures]
"""What tasks add `Failures` to."""


def failure_count(spark: SparkSession) -> FailureCount:
    """A new accumulator, at zero."""
    return spark.sparkContext.accumulator(Failures(0, {}), _Added())


def report(failures: Failures, topic: str) -> None:
    """Warn of each of the first messages, and of how many there are."""
    for (partition, offset), reason in sorted(failures.first.items()):
        _log.warning("the message %s %d/%d is a dead letter: %s", topic, partition, offset, reason)
    if failures.total > len(failures.first):
        _log.warning("%d messages of this micro-batch are dead letters for errors of Scoreline's own", failures.total)


def report_refused_extras(refused: Failures, topic: str) -> None:
    """Warn of each of the first messages some of whose extras count as unknown, and of how many there are."""
    for (partition, offset), reason in sorted(refused.first.items()):
        _log.warning("of the message %s %d/%d extras count as unknown: %s", topic, partition, offset, reason)
    if refused.total > len(refused.first):
        _log.warning(
            "of %d messages of this micro-batch extras count as unknown, and their scores say why", refused.total
        )
