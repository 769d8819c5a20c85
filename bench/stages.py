"""Reports on standard error what is being measured, with the time that it takes."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

Say = Callable[[str], None]
"""Reports what is being done, in a few words."""


@contextmanager
def progress_on(console: Console) -> Iterator[Progress]:
    """Bars on a terminal; without one each task is a line when it begins."""
    columns = (
        SpinnerColumn(finished_text="[green]✓"),
        TextColumn("{task.description}", markup=False),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        yield progress


class Stages:
    """The parts of a run, one after the other."""

    def __init__(self, console: Console, progress: Progress) -> None:
        self._console, self._progress = console, progress

    @contextmanager
    def stage(self, title: str) -> Iterator[Say]:
        """Around one part: says what it does at the moment."""
        task = self._progress.add_task(title, total=1)

        def say(text: str) -> None:
            self._progress.update(task, description=f"{title}: {text}")
            if not self._console.is_terminal:
                self._console.print(f"{title}: {text}", markup=False, highlight=False, soft_wrap=True)

        yield say
        self._progress.update(task, completed=1)
