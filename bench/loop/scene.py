"""What happens in the loop's run: ordinary days, and then a drift after which fraudsters do something else."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import chain, islice
from pathlib import Path
from typing import Final

import msgspec

from generator.history import Origin, labels_after
from generator.labels import LateLabels, Reporting
from generator.producer import Outbox
from generator.report import Report
from generator.runs import Run
from generator.send import Sender, SendOptions, Topics
from generator.stream import Batch
from generator.worlds import World, batches
from messaging.config import KafkaConfig
from settings import Settings

LIVE_START: Final = datetime(2026, 5, 4, tzinfo=UTC)
"""Where the history ends: the same seed gives the same traffic on any day."""

KINDS_BEFORE: Final = ("mule_transfers", "bust_out", "synthetic_identity")
KINDS_AFTER: Final = ("card_testing", "account_takeover", "impossible_travel")

_LINGER_MS: Final = 5


@dataclass(frozen=True)
class Scene:
    """How much of what: customers, days of history and of ordinary live traffic, transactions a second.

    before, after: the kinds of fraud until the drift, and from then on. Honest behaviour shifts with it: the run `drift`.
    reporting: when frauds become known, in simulated time.
    """

    seed: int = 7
    customers: int = 2_000
    history_days: int = 28
    ordinary_days: int = 7
    rate: float = 500.0
    before: tuple[str, ...] = KINDS_BEFORE
    after: tuple[str, ...] = KINDS_AFTER
    live_start: datetime = field(default=LIVE_START)
    reporting: Reporting = field(default_factory=Reporting)

    @property
    def drift_begins(self) -> datetime:
        """When everything changes."""
        return self.live_start + timedelta(days=self.ordinary_days)

    @property
    def origin(self) -> Origin:
        """The history that the champion learns from."""
        run = Run(only=self.before, subtlety="low")
        return Origin(self.seed, self.customers, self.live_start, self.history_days, run, self.reporting)

    def live(self, world: World) -> Iterator[Batch]:
        """The live hours, without end."""
        origin = self.origin
        drift = msgspec.structs.replace(origin.run, scenario="drift", only=self.after, begins=self.drift_begins)
        ordinary = islice(batches(world, self.live_start, origin.run, origin.reporting), 24 * self.ordinary_days)
        return chain(ordinary, batches(world, self.drift_begins, drift, origin.reporting))


def sender_of(scene: Scene, history: Path, settings: Settings, progress: Callable[[Report], None]) -> Sender:
    """Sends the scene's live traffic, with labels when simulated time has come to them. Raises KafkaUnreachable."""
    topics = Topics(settings.transactions_topic, settings.labels_topic, settings.truth_topic)
    outbox = Outbox(KafkaConfig.from_settings(settings), (topics.transactions, topics.labels, topics.truth), _LINGER_MS)
    world = scene.origin.world()
    labels = LateLabels(labels_after(history, scene.live_start))
    return Sender(outbox, scene.live(world), labels, SendOptions(scene.rate), topics, progress)
