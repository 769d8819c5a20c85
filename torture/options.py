"""What a person may choose of a torture, and what follows of it for how its time is spent."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

KILLS_IN_30_MINUTES: Final = 100


@dataclass(frozen=True)
class Options:
    """What a person may choose. kills: None for as many as fit the time. data: where to make the servers' folder.

    service: whether `scoreline serve` runs beside the job, is called and killed too, and accounted for.
    patience_seconds: how long working off may take at least, even where the minutes are over by then.
    """

    minutes: float = 30.0
    rate: float = 1_000.0
    kills: int | None = None
    seed: int = 1
    data: Path | None = None
    keep: bool = False
    service: bool = False
    patience_seconds: float = 60.0

    def feed_seconds(self, passed: float) -> float:
        """How long there is traffic, where so many seconds have passed; the rest is for working off and accounting.

        Where the start took very long, the minutes are exceeded.
        """
        total = 60 * self.minutes
        return max(0.35 * total, (total - passed - 20 - min(90.0, 0.2 * total)) / (1 + self.accounting_share))

    @property
    def accounting_share(self) -> float:
        """Seconds of accounting by second of traffic."""
        return 0.12 * self.rate / 1_000

    @property
    def planned_kills(self) -> int:
        return self.kills if self.kills is not None else max(3, round(KILLS_IN_30_MINUTES * self.minutes / 30))
