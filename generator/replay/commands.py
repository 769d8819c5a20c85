"""The commands `replay` and `convert`."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from typer import Argument, Option

from generator.labels import Reporting
from generator.live import FULL_SPEED_LINGER_MS, LINGER_MS, Kafka
from generator.producer import Outbox
from generator.replay.convert import Converter
from generator.replay.cut import Cut
from generator.replay.errors import ReplayError
from generator.replay.mapping import load_mapping
from generator.replay.place import KeptPlace
from generator.replay.play import Pace, Played, Player
from generator.replay.rejects import Rejects
from generator.replay.stream import DataSet
from generator.replay.view import ReadingView
from generator.report import time_of
from generator.stopping import stop_on_signal

ROWS_REJECTED = 3
"""The exit status when all was done, but some rows did not fit."""

out = Console(highlight=False, soft_wrap=True)
File = Annotated[Path, Argument(help="A .csv or .parquet file, as its publisher ships it.")]
Format = Annotated[
    str,
    Option(
        "--format",
        help="paysim, sparkov, ulb, tabformer, ibm-aml, banksim, ieee-cis, baf, history, or a mapping file (docs/replay.md).",
    ),
]
Folder = Annotated[Path, Option("--out", help="Folder to write the history to.")]
Tolerance = Annotated[
    float, Option(min=0.0, max=1e9, help="Seconds that a row may be behind its time; such rows are sorted.")
]
LabelDays = Annotated[
    float, Option(min=0.0, max=3650.0, help="Median days until a fraud becomes known; 0 for at once.")
]
Speed = Annotated[str, Option(help="How many times as fast as the data's own clock; max for as fast as possible.")]
_CUT = "a time (ISO 8601 with zone), a row's number, or a share of the rows such as 90%"
From = Annotated[str | None, Option("--from", help=f"Leave out what comes before {_CUT}.")]
Until = Annotated[str | None, Option("--until", help=f"Leave out what comes from there on: {_CUT}.")]
Sort = Annotated[bool, Option("--sort", help="Sort the rows by time first; room for them is needed in TMPDIR.")]
FlushLabels = Annotated[bool, Option("--flush-labels", help="At the end, send the labels that are not due yet.")]
Resume = Annotated[bool, Option("--resume", help="Go on where a replay of this file was stopped.")]
Work = Annotated[Path, Option(help="Folder for the place to resume from, and for the rows that do not fit.")]


def convert(
    file: File,
    format_: Format,
    folder: Folder,
    label_days: LabelDays = 7.0,
    tolerance: Tolerance = 0.0,
    sort: Sort = False,
    until: Until = None,
) -> None:
    """Convert a data set into a history folder, for training and evaluation. Run it again, and it goes on where it stopped.

    The exit status is 0 when all rows fit, 3 when some did not, 1 when it could not be done.
    """
    data = DataSet(file, load_mapping(format_), tolerance, sort, until)
    with ReadingView(out, "convert", data.source) as view:

        def show(rows: int, rejects: int) -> None:
            view.show(data.done, f"{rows:,} transactions, {rejects:,} rows that do not fit")

        what, rejects = Converter(data, folder, _reporting(label_days), show).run()
    out.print(
        f"{what.transactions:,} transactions from {what.first_event_time} to {what.last_event_time}, "
        f"{what.frauds:,} of them fraud, in {folder}"
    )
    _end(rejects, data)


def register(app: typer.Typer, kafka: Callable[[], Kafka]) -> None:
    """Add the commands to a command line; `kafka` says where Kafka is, when it is asked for."""

    @app.command()
    def replay(
        file: File,
        format_: Format,
        speed: Speed = "1",
        from_: From = None,
        label_days: LabelDays = 7.0,
        tolerance: Tolerance = 0.0,
        sort: Sort = False,
        flush_labels: FlushLabels = False,
        resume: Resume = False,
        work: Work = Path(".scoreline/replay"),
    ) -> None:
        """Send a data set to Kafka at its own pace, or faster: transactions, the truth at once, labels when they are due.

        The exit status is 0 when all rows fit, 3 when some did not, 1 when it could not be done.
        """
        times_real = _speed(speed)
        data = DataSet(file, load_mapping(format_), tolerance, sort)
        pace = Pace(times_real, _start(from_, data), flush_labels)
        _replay(data, kafka(), pace, _reporting(label_days), work, resume)

    app.command()(convert)


def _replay(data: DataSet, kafka: Kafka, pace: Pace, reporting: Reporting, work: Path, resume: bool) -> None:
    names = kafka.topics
    linger = LINGER_MS if pace.speed else FULL_SPEED_LINGER_MS
    outbox = Outbox(kafka.config, (names.transactions, names.labels, names.truth), linger)
    place = KeptPlace(work / f"{data.file.name}.json", data.identity, names.transactions)
    player = Player(data, outbox, names, pace, reporting, place, work / f"{data.file.name}.rejects.jsonl", resume)
    with ReadingView(out, "replay", data.source) as view:
        player.progress = lambda played: view.show(data.done, f"{played.sent:,} sent, event time {_clock(played)}")
        stop_on_signal(player.stop)
        played, rejects = player.run()
    _summarise(played)
    if player.stopped:
        out.print("  stopped; the same command with --resume goes on from here")
    _end(rejects, data)


def _summarise(played: Played) -> None:
    rate = played.sent / played.seconds if played.seconds else 0
    out.print(f"{played.sent:,} transactions in {played.seconds:,.1f} s: {rate:,.0f} a second, up to {_clock(played)}")
    out.print(
        f"  {played.frauds:,} fraudulent; labels: {played.labels_sent:,} sent, {played.labels_under_way:,} not due yet"
    )
    if played.before_start:
        out.print(f"  {played.before_start:,} rows before --from were left out")


def _end(rejects: Rejects, data: DataSet) -> None:
    """Show the rows that do not fit; where there are any, they are the exit status."""
    if rejects.count:
        out.print(f"{data.source.unit}s of {data.file}: {rejects.in_words()}", markup=False)
        raise typer.Exit(ROWS_REJECTED)


def _clock(played: Played) -> str:
    return f"{played.last_event_time:%Y-%m-%d %H:%M:%S}" if played.last_event_time else "not started"


def _reporting(label_days: float) -> Reporting:
    """Labels of a public data set come late, but are as right and as complete as that data says."""
    return Reporting(median_days=label_days, never=0.0, wrong=0.0, false_alarms=0.0)


def _speed(text: str) -> float:
    if text == "max":
        return 0.0
    try:
        speed = float(text)
    except ValueError:
        speed = 0.0
    if not 0 < speed < float("inf"):
        raise ReplayError(f"--speed has to be a number above 0 (1 for the data's own pace), or max, but is {text!r}")
    return speed


def _start(text: str | None, data: DataSet) -> int | datetime | None:
    if text is None:
        return None
    cut = Cut.of("--from", text, data.source)
    return cut.row if cut.time_ms is None else time_of(cut.time_ms)
