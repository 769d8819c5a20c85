"""What tasks report to the driver while they work, and what they have to know of the topics."""

from typing import NamedTuple, Self

from pyspark.sql import SparkSession

from jobs.dead_letters import SetAsides, set_asides
from jobs.failures import FailureCount, Failures, failure_count
from jobs.source.micro_batch_size import Arrivals, Arrived, arrivals
from jobs.source.topic_limits import TopicLimits
from ml.features.declared import NOTHING, Declared


class Tasks(NamedTuple):
    """set_aside: records to be dead-lettered by themselves. failures: of our own steps. arrived: how much came in all.

    declared: the extras that transactions carry. refused_extras: messages some of whose extras are unknown because they are
    not what is declared; None where nobody counts them.
    """

    set_aside: SetAsides
    failures: FailureCount
    arrived: Arrivals
    limits: TopicLimits
    declared: Declared = NOTHING
    refused_extras: FailureCount | None = None

    @classmethod
    def from_session(cls, spark: SparkSession, limits: TopicLimits, declared: Declared = NOTHING) -> Self:
        """With accumulators of their own."""
        refused = failure_count(spark) if declared else None
        return cls(set_asides(spark), failure_count(spark), arrivals(spark), limits, declared, refused)

    def begin(self) -> None:
        """Discard what an attempt that failed may have left."""
        self.set_aside.value, self.failures.value, self.arrived.value = {}, Failures(0, {}), Arrived()
        if self.refused_extras is not None:
            self.refused_extras.value = Failures(0, {})
