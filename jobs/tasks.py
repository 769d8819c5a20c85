"""What tasks report to the driver while they work, and what they have to know of the topics."""

from typing import NamedTuple, Self

from pyspark.sql import SparkSession

from jobs.dead_letters import SetAsides, set_asides
from jobs.failures import FailureCount, Failures, failure_count
from jobs.source.micro_batch_size import Arrivals, Arrived, arrivals
from jobs.source.topic_limits import TopicLimits


class Tasks(NamedTuple):
    """set_aside: records to be dead-lettered by themselves. failures: of our own steps. arrived: how much came in all."""

    set_aside: SetAsides
    failures: FailureCount
    arrived: Arrivals
    limits: TopicLimits

    @classmethod
    def from_session(cls, spark: SparkSession, limits: TopicLimits) -> Self:
        """With accumulators of their own."""
        return cls(set_asides(spark), failure_count(spark), arrivals(spark), limits)

    def begin(self) -> None:
        """Discard what an attempt that failed may have left."""
        self.set_aside.value, self.failures.value, self.arrived.value = {}, Failures(0, {}), Arrived()
