"""Shows snapshots while a run lasts: a view that stays in place on a terminal, a line now and then elsewhere."""

import re
from collections.abc import Sequence
from dataclasses import replace
from io import StringIO
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from rich.console import Console
from rich.live import Live

from demo.plain import alert_line, status_line
from demo.snapshot import Snapshot
from demo.stages import lively
from demo.story import Outcome
from demo.view import Frame, live_view

PLAIN_SECONDS: Final = 5.0
PICTURE_SIZE: Final = (110, 34)
"""Columns and rows of the picture, whatever the terminal has."""

_FONTS: Final = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)
"""What rich would load from another server."""


class Display:
    """As a context manager: the view is shown inside, and its last state remains."""

    def __init__(self, console: Console, duration_seconds: float, further: Sequence[tuple[str, str]]) -> None:
        self._console = console
        self._duration_seconds = duration_seconds
        self._further = further
        self._live = Live(console=console, auto_refresh=False, vertical_overflow="crop") if lively(console) else None
        self._next_line = PLAIN_SECONDS
        self._reported: str | None = None
        self._events = 0
        self._last: tuple[Snapshot, Frame] | None = None
        self.chapter = ""
        """What the run tries to show now."""

    def show(self, snapshot: Snapshot, doing: str, outcome: Outcome) -> None:
        """One look at the run; `doing`: what it is at."""
        events = [what for _, what in outcome.events]
        frame = Frame(self._duration_seconds, doing, self._further, self.chapter, events, frozenset(outcome.learned))
        self._last = snapshot, frame
        if self._live is not None:
            width, height = self._console.size
            self._live.update(live_view(snapshot, frame, width, height), refresh=True)
            return
        for what in events[self._events :]:
            print(f"        {what}", flush=True)
        self._events = len(events)
        if snapshot.seconds >= self._next_line:
            self._next_line = snapshot.seconds - snapshot.seconds % PLAIN_SECONDS + PLAIN_SECONDS
            self._print(snapshot)

    def save_picture(self, file: Path) -> None:
        """Write what was shown last as an SVG picture; nothing where nothing was shown."""
        if self._last is None:
            return
        snapshot, frame = self._last
        width, height = PICTURE_SIZE
        console = Console(file=StringIO(), record=True, width=width, height=height, force_terminal=True)
        console.print(live_view(snapshot, replace(frame, further=()), width, height))
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(_FONTS.sub("", console.export_svg(title="make demo")))

    def _print(self, snapshot: Snapshot) -> None:
        print(status_line(snapshot), flush=True)
        newest = snapshot.alerts[0] if snapshot.alerts else None
        if newest is not None and newest.score.transaction_id != self._reported:
            self._reported = newest.score.transaction_id
            print(alert_line(newest), flush=True)

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()
