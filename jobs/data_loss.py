"""What it means that Spark misses records of a query: whether it may go on without them."""

from kafka.errors import KafkaError
from pyspark.sql import SparkSession

from jobs.runtime.errors import Fatal, Unavailable
from jobs.runtime.gate import Gate
from jobs.runtime.storage import DurableFolder
from jobs.source.input_topics import accept_flag, recorded_ids
from jobs.source.topic_client import TopicClient
from settings import Settings


def data_loss(spark: SparkSession, settings: Settings, query: str, said: str, gate: Gate) -> Exception:  # noqa: ARG001
    """What the query fails with: `Fatal`, or `Unavailable` where it may go on, or where nobody knows now."""
    recorded = recorded_ids(DurableFolder(spark, f"{settings.checkpoint}/topics"), query)
    kafka = TopicClient(settings)
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
    if getattr(settings, accept_flag(query).removeprefix("--").replace("-", "_"), False):
        return Unavailable(f"Kafka deleted records while they were read: {said}")
    return Fatal(
        f"Kafka no longer has records that were not read yet (retention was shorter than the job's pause): {said}. "
        f"To go on with what is left, start with {accept_flag(query)} true"
    )
