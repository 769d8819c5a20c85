"""Shows what a history holds, as a page."""

import webbrowser
from pathlib import Path
from typing import Annotated, Final

import typer

from ml.commands import common
from ml.data_report.page import page
from ml.data_report.summary import summarize
from ml.dataset.history import HistoryError
from ml.dataset.labels import LABELS_FILE, Labels
from ml.options import Extras

REPORT_FILE: Final = "report.html"


def report_command(
    history: Annotated[str, typer.Argument(help="Parquet or CSV file, or folder of them, sorted by event_time.")],
    file: Annotated[
        str | None, typer.Option("--out", help="Where the page goes.", show_default="report.html in or beside it")
    ] = None,
    extras: Extras = True,
    show: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False,
) -> None:
    """Make a page about a history: distributions, missing values, rhythm, fraud by field, correlations."""
    past = common.local(history, "HISTORY")
    out = (past if past.is_dir() else past.parent) / REPORT_FILE if file is None else common.local(file, "--out")
    opened = common.opened(past, extras)
    with common.bars() as bars:
        summary = summarize(opened, labels_beside(past), bars)
    if not summary.rows:
        raise HistoryError(f"{past} should hold transactions, but it has none")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(page(summary, past.name), "utf-8")
    except OSError as error:
        raise HistoryError(f"the page can't be written to {out} ({error}): name another place by --out") from error
    common.out.print(f"{summary.rows:,} transactions of {past}, {summary.frauds:,} known as fraud: see {out}")
    if show:
        webbrowser.open(out.resolve().as_uri())


def labels_beside(history: Path) -> Labels | None:
    """The labels beside a history (file or folder), where there are any."""
    file = (history if history.is_dir() else history.parent) / LABELS_FILE
    return Labels.read(file, with_customers=False) if file.is_file() else None
