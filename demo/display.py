"""Shows snapshots while a run lasts: a view that stays in place on a terminal, a line now and then elsewhere."""

from collections.abc import Sequence
from types import TracebackType
from typing import Final, Self

from rich.console import Console
from rich.live import Live

from demo.plain import alert_line, status_line
from demo.snapshot import Snapshot
from demo.stages import lively
from demo.view import Frame, live_view

PLAIN_SECONDS: Final = 5.0


class Display:
    """As a context manager: the view is shown inside, and its last state remains."""

    def __init__(self, console: Console, duration_seconds: float, further: Sequence[tuple[str, str]]) -> None:
        self._console = console
        self._duration_seconds = duration_seconds
        self._further = further
        self._live = Live(console=console, auto_refresh=False, vertical_overflow="crop") if lively(console) else None
        self._next_line = PLAIN_SECONDS
        self._told: str | None = None

    def show(self, snapshot: Snapshot, doing: str) -> None:
        """One look at the run; `doing`: what it is at."""
        if self._live is not None:
            frame = Frame(self._duration_seconds, doing, self._further)
            width, height = self._console.size
            self._live.update(live_view(snapshot, frame, width, height), refresh=True)
        elif snapshot.seconds >= self._next_line:
            self._next_line = snapshot.seconds - snapshot.seconds % PLAIN_SECONDS + PLAIN_SECONDS
            self._print(snapshot)

    def _print(self, snapshot: Snapshot) -> None:
        print(status_line(snapshot), flush=True)
        newest = snapshot.alerts[0] if snapshot.alerts else None
        if newest is not None and newest.score.transaction_id != self._told:
            self._told = newest.score.transaction_id
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
