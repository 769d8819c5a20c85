"""Puts a live sender together: a world, its stream from the live start on, and the way into Kafka."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

from generator.history import Origin
from generator.labels import LateLabels
from generator.producer import Outbox
from generator.report import Report
from generator.send import Sender, SendOptions, Topics
from generator.worlds import batches
from messaging.config import KafkaConfig
from ml.schema import Label

LINGER_MS, FULL_SPEED_LINGER_MS = 5, 50


@dataclass(frozen=True)
class Kafka:
    """Where the traffic goes: how to reach Kafka, and the topics there."""

    config: KafkaConfig
    topics: Topics


def live_sender(
    origin: Origin,
    kafka: Kafka,
    plan: SendOptions,
    start: datetime | None = None,
    labels: Iterable[Label] = (),
    progress: Callable[[Report], None] = lambda report: None,
) -> Sender:
    """A sender of the traffic that continues a history; from its live start on, or from a later `start`.

    `labels` are those of earlier transactions that are not due yet. Raises KafkaUnreachable, before anything else is done,
    and ValueError for a start without a time zone.
    """
    names = kafka.topics
    linger = LINGER_MS if plan.rate else FULL_SPEED_LINGER_MS
    outbox = Outbox(kafka.config, (names.transactions, names.labels, names.truth), linger)
    stream = batches(origin.world(), start or origin.live_start, origin.run, origin.reporting)
    return Sender(outbox, stream, LateLabels(labels), plan, names, progress)
