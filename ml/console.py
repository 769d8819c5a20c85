"""Shows judgements, models and progress on a terminal; in a pipe, tables have tabs between the cells."""

from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.progress import Progress, TaskID
from rich.table import Table

from ml.evaluation import protocol_report
from ml.evaluation.protocol import Outcomes
from ml.evaluation.report import COLUMNS, SCENARIO_COLUMNS, Results, detector_rows, ranked, scenario_rows
from ml.thresholds.decline import LEAST, PRECISION


def show(out: Console, results: Results) -> None:
    """The table of detectors, and the scenarios of the best one."""
    show_table(out, ["detector", *COLUMNS], detector_rows(results), "intervals: 95 %")
    for name, judgement in list(ranked(results).items())[:1]:
        if judgement.scenarios:
            show_table(out, list(SCENARIO_COLUMNS), scenario_rows(judgement), f"scenarios, by {name}")


def show_outcomes(out: Console, outcomes: Outcomes) -> None:
    """The table of detectors by a protocol, beside what was published, and how each one ranks each scenario's frauds."""
    out.print(protocol_report.summary(outcomes))
    show_table(out, protocol_report.COLUMNS, protocol_report.rows(outcomes), "intervals: 95 %, over seeds")
    header = ["AUC of the frauds of", *protocol_report.scenario_names(outcomes)]
    show_table(out, header, protocol_report.scenario_rows(outcomes), "")


def show_table(out: Console, header: Sequence[str], rows: Sequence[Sequence[str]], caption: str) -> None:
    """A table; the caption is for the terminal alone."""
    if not out.is_terminal:
        for row in [header, *rows]:
            print("\t".join(row))
        return
    table = Table(*header, box=None, pad_edge=False, caption=caption)
    for row in rows:
        table.add_row(*row)
    out.print(table)


def declines(threshold: float | None, metrics: Mapping[str, float]) -> str:
    """What a training found of its decline threshold, as one line."""
    if threshold is None:
        return (
            f"no decline threshold: it takes {LEAST} known frauds in the part that the threshold comes from, and a detector "
            "that learns from labels"
        )
    return (
        f"decline threshold {threshold:.4f}, for a precision of {PRECISION:.0%}: {metrics['decline_share']:.2%} of traffic, "
        f"{metrics['decline_recall']:.0%} of the frauds"
    )


class Bars:
    """Shows each stage as a bar of Rich's progress display, which the first one starts; a `ml.progress.Progress`.

    What is refused before any work has begun is then the only line on the terminal.

    keep: whether a bar stays once its stage has ended.
    """

    def __init__(self, display: Progress, keep: bool = True) -> None:
        self._display, self._keep = display, keep
        self._bars: dict[str, TaskID] = {}

    def __call__(self, stage: str, done: float, total: float | None, note: str = "") -> None:
        """See `ml.progress.Progress`."""
        bar = self._bars.get(stage)
        if bar is None:
            self._display.start()
            bar = self._bars[stage] = self._display.add_task(stage, total=total)
        elif done == 0:
            self._display.reset(bar)
        self._display.update(bar, completed=done, total=total, description=f"{stage}{note and ' '}{note}")
        if done == total and not self._keep:
            self._display.remove_task(self._bars.pop(stage))
