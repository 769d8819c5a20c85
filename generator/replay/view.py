"""What `replay` and `convert` show: a bar on a terminal, else now and then a line."""

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from generator.replay.source import Source

PLAIN_SECONDS = 5.0


class ReadingView:
    """Shows how much of a source is done."""

    def __init__(self, console: Console, title: str, source: Source) -> None:
        self._console, self._size = console, source.size
        self._bar = Progress(
            TextColumn(title),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[what]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task(title, total=source.size, what="")
        self._title = title
        self._next = time.perf_counter() + PLAIN_SECONDS

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def show(self, done: int, what: str) -> None:
        """Show that so much of the source's size is done; `what` says what that is."""
        if self._console.is_terminal:
            self._bar.update(self._task, completed=done, what=what)
        elif time.perf_counter() >= self._next:
            self._next = time.perf_counter() + PLAIN_SECONDS
            self._console.print(f"{self._title}: {done / max(self._size, 1):.0%}, {what}")
