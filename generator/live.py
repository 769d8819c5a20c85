"""Puts a live sender together: a population, its stream from the live start on, and the way into Kafka."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from generator.history import Origin
from generator.labels import LateLabels
from generator.population import make_population
from generator.producer import Outbox, Security
from generator.randomness import Purpose, generator
from generator.report import Report
from generator.send import Plan, Sender, Topics
from generator.stream import transactions

LABEL_DELAY_SECONDS = 120.0
LINGER_MS, FULL_SPEED_LINGER_MS = 5, 50


@dataclass(frozen=True)
class Kafka:
    """Where Kafka is, and how to talk to it."""

    servers: str
    topics: Topics = field(default_factory=Topics)
    security: Security = field(default_factory=dict)


def live_sender(
    origin: Origin,
    kafka: Kafka,
    plan: Plan,
    start: datetime | None = None,
    label_delay_seconds: float = LABEL_DELAY_SECONDS,
    progress: Callable[[Report], None] = lambda report: None,
) -> Sender:
    """A sender of the traffic that continues a history; from its live start on, or from a later `start`.

    Labels come after `label_delay_seconds` of wall-clock time on average. Raises KafkaUnreachable, before anything else is
    done, and ValueError for a start without a time zone.
    """
    names = kafka.topics
    linger = LINGER_MS if plan.rate else FULL_SPEED_LINGER_MS
    outbox = Outbox(kafka.servers, (names.transactions, names.labels, names.truth), kafka.security, linger)
    population = make_population(origin.seed, origin.customers)
    batches = transactions(population, start or origin.live_start, origin.fraud_share)
    labels = LateLabels(generator(origin.seed, Purpose.LABELS), label_delay_seconds)
    return Sender(outbox, batches, labels, plan, names, progress)
