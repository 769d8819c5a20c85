"""Shows judgements on a terminal, or in a pipe with tabs between the cells."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from ml.evaluation.report import COLUMNS, SCENARIO_COLUMNS, Results, detector_rows, ranked, scenario_rows


def show(out: Console, results: Results) -> None:
    """The table of detectors, and the scenarios of the best one."""
    _table(out, ["detector", *COLUMNS], detector_rows(results), "intervals: 95 %")
    for name, judgement in list(ranked(results).items())[:1]:
        if judgement.scenarios:
            _table(out, list(SCENARIO_COLUMNS), scenario_rows(judgement), f"scenarios, by {name}")


def _table(out: Console, header: Sequence[str], rows: Sequence[Sequence[str]], caption: str) -> None:
    if not out.is_terminal:
        for row in [header, *rows]:
            print("\t".join(row))
        return
    table = Table(*header, box=None, pad_edge=False, caption=caption)
    for row in rows:
        table.add_row(*row)
    out.print(table)
