"""One call of the benchmark: its parts one after the other, each saved as soon as it is measured."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from bench.encoded import with_transactions
from bench.environment import Environment
from bench.inputs import Input, prepare
from bench.machine import check_load, machine
from bench.report import write_report
from bench.result import RESULTS, Result, load, save
from bench.stages import Say, Stages, progress_on
from programs.interruption import Interruption


@dataclass(frozen=True)
class Choices:
    """What every part takes. flags: for the job. data: where to make the servers' temporary folder."""

    flags: tuple[str, ...] = ()
    partitions: int = 4
    data: Path | None = None
    results: Path = RESULTS
    busy: bool = False


class Session:
    """Servers that run, and a result that grows."""

    def __init__(
        self, choices: Choices, environment: Environment, result: Result, progress: Progress, console: Console
    ) -> None:
        self.choices, self.environment, self.result = choices, environment, result
        self.progress, self._console = progress, console
        self._stages = Stages(console, progress)

    def input(self, customers: int, count: int) -> Input:
        """The input of so many customers with at least so many transactions."""
        return with_transactions(self.environment, prepare(customers, self.progress), count, self.progress)

    def part(self, title: str, measure: Callable[[Say], None]) -> None:
        """Measures one part and saves the result; a part that fails is noted, and the next one may still be measured."""
        try:
            with self._stages.stage(title) as say:
                measure(say)
        except Exception as error:  # noqa: BLE001  # hours of other parts must not be lost with this one
            self.result.failures[title] = str(error) or type(error).__name__
            self._console.print(f"{title} failed: {error}", style="bold red", markup=False, soft_wrap=True)
        self.save()

    def save(self) -> None:
        """Writes what there is by now."""
        save(self.result, self.choices.results)


@contextmanager
def session(name: str, choices: Choices, strict: bool = True) -> Iterator[Session]:
    """Around the parts: servers, a result, and at the end its report; also where a signal ends it before."""
    Interruption()
    console = Console(stderr=True)
    found = machine()
    check_load(found, console, strict and not choices.busy)
    settings = {"job flags": " ".join(choices.flags) or "none", "partitions of the topics": str(choices.partitions)}
    result = Result(name, datetime.now(UTC), found, settings)
    try:
        with progress_on(console) as progress, Environment(choices.data, choices.partitions) as environment:
            yield Session(choices, environment, result, progress, console)
    finally:
        path = save(result, choices.results)
        report = write_report(load(path), path)
        console.print(f"Results: {path}, {report}", markup=False, soft_wrap=True)
