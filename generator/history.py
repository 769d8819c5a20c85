"""A history on disk: transactions before the live start, and in other files the truth and what the bank learns of it."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from generator.drafts import HOUR_MS
from generator.handbook.world import Handbook
from generator.labels import Reporting
from generator.runs import Run
from generator.stream import Batch, milliseconds
from generator.tables import LABEL_ARROW
from generator.worlds import World, batches, make_world
from ml.schema import TRANSACTION_ARROW, Label

TRANSACTIONS_FILE, TRUTH_FILE, LABELS_FILE = "transactions.parquet", "truth.parquet", "labels.parquet"
ORIGIN_FILE = "history.json"
ROWS_AT_ONCE = 200_000
LIVE_START_DAYS_AGO = 180
LIVE_START_HOUR = 8


class Origin(msgspec.Struct, frozen=True):
    """What a stream is made from: with it, a live stream continues a history exactly.

    `run.begins` says when an attack's wave or a drift begins; it is null for other runs. handbook: the parameters of the
    Fraud Detection Handbook's world, null for our own bank.
    """

    seed: int
    customers: int
    live_start: datetime
    days: int = 0
    run: Run = Run()
    reporting: Reporting = Reporting()
    handbook: Handbook | None = None

    def world(self) -> World:
        """The world that the stream is of."""
        return make_world(self.seed, self.customers, self.handbook)


class NoHistory(Exception):
    """A folder does not hold a history that a live stream could continue."""


def _silent(rows: int, share: float) -> None:
    """Reports nothing."""


def default_live_start() -> datetime:
    """Where history ends and live traffic begins: long enough ago that simulated time may run fast and stays in the past.

    It is a morning, because at a given rate the simulated clock runs fast through a night, when few people pay.
    """
    morning = datetime.now(UTC).replace(hour=LIVE_START_HOUR, minute=0, second=0, microsecond=0)
    return morning - timedelta(days=LIVE_START_DAYS_AGO)


def write_history(folder: Path, origin: Origin, world: World, progress: Callable[[int, float], None] = _silent) -> int:
    """Write the history that ends at `origin.live_start` into a folder, and return its number of transactions.

    `progress` is called with the rows so far and the share of the days that is done. The files appear under their names
    when they are complete, history.json last. Raises ValueError unless `origin.live_start` is a full hour.
    """
    if milliseconds(origin.live_start) % HOUR_MS:
        raise ValueError(f"the live start has to be a full hour, but is {origin.live_start.isoformat()}")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / ORIGIN_FILE).unlink(missing_ok=True)
    parts = {name: folder / f"{name}.part" for name in (TRANSACTIONS_FILE, TRUTH_FILE, LABELS_FILE)}
    rows, labels, written = 0, [LABEL_ARROW.empty_table()], Future[None]()
    written.set_result(None)
    with (
        pq.ParquetWriter(parts[TRANSACTIONS_FILE], TRANSACTION_ARROW) as all_of_them,
        pq.ParquetWriter(parts[TRUTH_FILE], LABEL_ARROW) as truth,
        ThreadPoolExecutor(1, "writer") as writer,
    ):
        for piece, share in _pieces(world, origin):
            written.result()  # at most one piece waits while the next one is made
            written = writer.submit(all_of_them.write_table, piece.transactions)
            truth.write_table(piece.truth)
            labels.append(piece.labels)
            rows += len(piece.transactions)
            progress(rows, share)
        written.result()
    pq.write_table(pa.concat_tables(labels).sort_by("label_time"), parts[LABELS_FILE])
    for name, part in parts.items():
        part.replace(folder / name)
    (folder / ORIGIN_FILE).write_bytes(msgspec.json.format(msgspec.json.encode(origin)))
    return rows


def labels_after(folder: Path, time: datetime) -> list[Label]:
    """The labels of this folder's history that become known at this time or later."""
    file = folder / LABELS_FILE
    rows = pq.read_table(file, filters=pc.field("label_time") >= pa.scalar(time, LABEL_ARROW.field("label_time").type))
    return [Label(**row) for row in rows.to_pylist()]


def read_origin(folder: Path) -> Origin:
    """What the history in this folder was made from. Raises NoHistory where there is none."""
    file = folder / ORIGIN_FILE
    try:
        return msgspec.json.decode(file.read_bytes(), type=Origin)
    except (OSError, ValueError) as error:  # text that is not UTF-8 too
        raise NoHistory(
            f"{file} does not say what a history was made from ({error}); "
            f"`python -m generator history --out {folder}` writes one"
        ) from None


def _pieces(world: World, origin: Origin) -> Iterator[tuple[Batch, float]]:
    """The history in pieces of at least ROWS_AT_ONCE, each with the share of the hours that is then done."""
    hours = origin.days * 24
    start = origin.live_start - timedelta(days=origin.days)
    stream = batches(world, start, origin.run, origin.reporting)
    gathered: list[Batch] = []
    for number, batch in enumerate(islice(stream, hours), 1):
        gathered.append(batch)
        if number == hours or sum(len(piece.transactions) for piece in gathered) >= ROWS_AT_ONCE:
            yield Batch(*(pa.concat_tables(tables) for tables in zip(*gathered, strict=True))), number / hours
            gathered = []
