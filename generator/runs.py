"""What kind of traffic a stream has: ordinary days, an attack, a drift, or no fraud at all."""

from datetime import datetime, timedelta
from typing import Final, Literal, get_args

import msgspec

from generator.drift import NO_DRIFT, Drift
from generator.scenarios import SCENARIOS
from generator.scenarios.scenario import Style, Subtlety

RunName = Literal["standard", "attack", "drift", "calm"]
RUNS: Final[tuple[RunName, ...]] = get_args(RunName)
FRAUD_SHARE: Final = 0.006
WAVE_MINUTES: Final = 10.0
WAVE_TIMES: Final = 50.0
WAVE_AFTER, DRIFT_AFTER = 0.85, 0.75  # of a history's days


class Run(msgspec.Struct, frozen=True):
    """What happens in a stream, besides what its population usually does.

    fraud_share: fraudulent ones among all transactions. subtlety: with low, a simple rule finds the fraud; with high, hardly
    anything does. intensity multiplies the number of transactions of each campaign. only: the scenarios that take place, in
    their usual proportions; all where it is empty. begins: when the wave of an attack starts, or the drift; an attack has
    fraud WAVE_TIMES its usual rate for WAVE_MINUTES. drift_days: how long the drift takes to be complete; 0: it comes at once.

    Raises ValueError for what contradicts itself.
    """

    scenario: RunName = "standard"
    fraud_share: float = FRAUD_SHARE
    subtlety: Subtlety = "medium"
    intensity: float = 1.0
    only: tuple[str, ...] = ()
    begins: datetime | None = None
    drift_days: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.fraud_share < 1:
            raise ValueError(
                f"fraud_share is a share of all transactions, at least 0 and below 1, but is {self.fraud_share}"
            )
        if not 0.1 <= self.intensity <= 10:
            raise ValueError(f"intensity multiplies campaigns, by 0.1 to 10, but is {self.intensity}")
        if not self.drift_days >= 0:
            raise ValueError(f"drift_days is a number of days, at least 0, but is {self.drift_days}")
        known = [scenario.name for scenario in SCENARIOS]
        if unknown := sorted(set(self.only) - set(known)):
            raise ValueError(f"only names scenarios, which are {', '.join(known)}, but has {', '.join(unknown)}")
        if self.scenario == "calm" and self.fraud_share:
            raise ValueError(f"a calm run has no fraud, but fraud_share is {self.fraud_share}: leave it out")
        if self.scenario in ("standard", "calm") and self.begins is not None:
            raise ValueError(f"only an attack or a drift begins at some time, not {self.scenario}: leave begins out")
        if self.scenario in ("attack", "drift") and (self.begins is None or self.begins.tzinfo is None):
            raise ValueError(f"{self.scenario} needs a time with zone at which it begins, but begins is {self.begins}")

    @property
    def style(self) -> Style:
        """How the campaigns are carried out."""
        return Style(self.subtlety, self.intensity)

    @property
    def drift(self) -> Drift:
        """How honest behaviour shifts."""
        if self.scenario != "drift" or self.begins is None:
            return NO_DRIFT
        return Drift(int(self.begins.timestamp()) // 3600, self.drift_days)


def usual_share(scenario: RunName) -> float:
    """The share of fraud that a run has by default."""
    return 0.0 if scenario == "calm" else FRAUD_SHARE


def begins_within(scenario: RunName, start: datetime, days: float) -> datetime | None:
    """When the wave or the drift of a history begins: on an afternoon, late enough to train before."""
    if scenario not in ("attack", "drift"):
        return None
    day = start + timedelta(days=int(days * (WAVE_AFTER if scenario == "attack" else DRIFT_AFTER)))
    afternoon = day.replace(hour=14, minute=0, second=0, microsecond=0)
    return afternoon if afternoon >= day else afternoon + timedelta(days=1)
