"""What a torture found out, as one JSON file."""

from datetime import datetime
from pathlib import Path

import msgspec

from bench.result import Machine
from torture.application import Ended
from torture.caller import Called
from torture.early import EarlyFigures
from torture.feed import Status
from torture.figures import Figures
from torture.kills import Done


class Result(msgspec.Struct):
    """All about one run. drained: whether everything was worked off in time; stopped: the exit status after SIGTERM.

    left_behind: processes of the application that still ran when it had ended.
    early, called: of the service, see there.
    ledger_changed: micro-batches whose entry in the ledger was another one later. troubles: what the harness could not do.
    """

    started: datetime
    machine: Machine
    seed: int
    minutes: float
    rate: float
    feed_seconds: float
    seconds: dict[str, float]
    kills: dict[str, int]
    missed_kills: int
    starts: int
    promotions: int
    partitions: int
    micro_batches: int
    fed: Status
    drained: bool
    stopped: int | None
    left_behind: list[str]
    ledger_changed: list[int]
    ended_by_itself: list[Ended]
    troubles: list[str]
    figures: Figures
    early: EarlyFigures
    called: Called
    service_starts: int
    service_ended_by_itself: list[Ended]
    each_kill: list[Done]

    @property
    def right(self) -> bool:
        """Whether all that the torture requires holds."""
        whole = self.drained and self.stopped == 0 and not self.ledger_changed and not self.fed.failed
        service = not (self.called.failed or self.called.contradicted or self.service_ended_by_itself)
        return whole and service and self.figures.right and self.early.right

    def summary(self) -> dict[str, object]:
        """The last line of a run: the most important figures first."""
        figures = self.figures
        first = {
            "minutes": self.minutes,
            "kills": sum(self.kills.values()),
            "records": figures.records,
            "hostile": sum(self.fed.hostile.values()),
            **{name: getattr(figures, name) for name in ("lost", "differing", "points_missing", "alerts_sent_twice")},
        }
        names = Figures.__struct_fields__[:-1]
        more = [name for name in names if name not in first]
        return {
            **first,
            **{name: getattr(figures, name) for name in more},
            "ended_by_itself": len(self.ended_by_itself),
            **{f"early_{name}": getattr(self.early, name) for name in EarlyFigures.__struct_fields__[:-1]},
            "contradicted": self.called.contradicted,
            "drained": self.drained,
            "stopped": self.stopped,
        }


def save(result: Result, folder: Path) -> Path:
    """Write the result into the folder; returns where."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{result.started:%Y-%m-%d-%H%M%S}-torture.json"
    path.write_bytes(msgspec.json.format(msgspec.json.encode(result)))
    return path
