"""What the generator's command line shows: progress while it works, a summary at the end."""

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.status import Status

from generator.report import Report


def history_progress(console: Console) -> Progress:
    """A bar for the history; without a terminal it stays silent."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeElapsedColumn(),
    )
    return Progress(*columns, console=console, disable=not console.is_terminal)


class SendingView:
    """Shows a sender's reports: one line that changes on a terminal, else a plain line for each."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._status = Status("starting", console=console) if console.is_terminal else None

    def __enter__(self) -> Self:
        if self._status:
            self._status.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._status:
            self._status.stop()

    def show(self, report: Report) -> None:
        """The state of a running sender."""
        clock = f"{report.last_event_time:%Y-%m-%d %H:%M}" if report.last_event_time else "not started"
        line = (
            f"{report.seconds:,.0f} s: {report.sent:,} sent, {report.rate:,.0f} a second; simulated time {clock} "
            f"({report.speed:,.0f} times as fast); {sum(report.fraud.values()):,} fraudulent"
        )
        if self._status:
            self._status.update(line)
        else:
            self._console.print(line)

    def summarise(self, report: Report, wanted_rate: float) -> None:
        """What a sender did, once it has ended."""
        wanted = f"{wanted_rate:,.0f} wanted" if wanted_rate else "as fast as possible"
        self._console.print(
            f"{report.sent:,} transactions in {report.seconds:,.1f} s: {report.rate:,.0f} a second ({wanted})"
        )
        for scenario, number in report.fraud.items():
            self._console.print(f"  {scenario}: {number:,} transactions in {report.campaigns[scenario]:,} campaigns")
        self._console.print(f"  labels: {report.labels_sent:,} sent, {report.labels_under_way:,} not due yet")
        if report.next_start:
            self._console.print(f"  to continue: --start {report.next_start.isoformat(timespec='milliseconds')}")
