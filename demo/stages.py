"""Shows the stages of a run, each with the seconds that it took: spinners on a terminal, plain lines elsewhere."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from rich.console import Console
from rich.progress import Progress, ProgressColumn, SpinnerColumn, Task, TaskID, TextColumn
from rich.text import Text

Say = Callable[[str], None]
"""Reports how a stage goes, or its result, in a few words."""

_TITLE_WIDTH: Final = 22


class _Seconds(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(f"{task.finished_time or task.elapsed or 0.0:6.1f} s")


def lively(console: Console) -> bool:
    """Whether it is a terminal on which something can stay in place and change."""
    return console.is_terminal and not console.is_dumb_terminal


class Stages:
    """Stages that may overlap, also in several threads."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress: Progress | None = None

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Around some stages: shows them as they go."""
        if not lively(self._console):
            yield
            return
        done, title = SpinnerColumn(finished_text="[green]✓"), TextColumn("{task.fields[title]}")
        with Progress(
            done, title, _Seconds(), TextColumn("{task.description}", style="dim", markup=False), console=self._console
        ) as progress:
            self._progress = progress
            try:
                yield
            finally:
                self._progress = None

    @contextmanager
    def stage(self, title: str) -> Iterator[Say]:
        """Times what happens inside."""
        begin, task = time.perf_counter(), self._begin(title)
        said = ""

        def say(text: str) -> None:
            nonlocal said
            said = text
            if self._progress is not None and task is not None:
                self._progress.update(task, description=text)

        yield say
        if self._progress is not None and task is not None:
            self._progress.update(task, completed=1)
        else:
            self._print(f"{title}: {f'{said}, ' if said else ''}{time.perf_counter() - begin:.1f} s")

    def _begin(self, title: str) -> TaskID | None:
        if self._progress is None:
            self._print(f"{title} …")
            return None
        return self._progress.add_task("", total=1, title=f"{title:<{_TITLE_WIDTH}}")

    def _print(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)
