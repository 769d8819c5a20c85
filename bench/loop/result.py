"""What is kept of a run: all figures, the steps, the recall of each day, and what it was measured on."""

from datetime import datetime
from pathlib import Path

import msgspec

from bench.loop.figures import Curve, Figures
from bench.result import Machine
from generator.labels import Reporting
from watch.steps import Entry


class Played(msgspec.Struct, frozen=True):
    """What was played. before, after: the kinds of fraud until and from the drift; reporting: how late labels come,
    unshortened; policy: the watcher's; beside: what ran beside detection.
    """

    seed: int
    customers: int
    history_days: int
    ordinary_days: int
    rate: float
    before: tuple[str, ...]
    after: tuple[str, ...]
    reporting: Reporting
    policy: str
    beside: list[str]


class LoopResult(msgspec.Struct, frozen=True):
    """One run."""

    started: datetime
    machine: Machine
    played: Played
    figures: Figures
    curve: Curve
    steps: list[Entry]


def save(result: LoopResult, folder: Path) -> Path:
    """Write a run's result; returns its file, beside which the picture belongs."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{result.started:%Y-%m-%d-%H%M%S}-loop.json"
    part = path.with_suffix(".part")
    part.write_bytes(msgspec.json.format(msgspec.json.encode(result)))
    part.replace(path)
    return path
