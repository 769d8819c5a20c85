"""A history on disk: the transactions before the live start, and the truth about them in a file of its own."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from generator.campaigns import FRAUD_SHARE
from generator.drafts import HOUR_MS
from generator.population import Population
from generator.stream import Batch, milliseconds, transactions
from generator.tables import LABEL_ARROW
from ml.schema import TRANSACTION_ARROW

TRANSACTIONS_FILE, TRUTH_FILE, ORIGIN_FILE = "transactions.parquet", "truth.parquet", "history.json"
ROWS_AT_ONCE = 200_000
LIVE_START_DAYS_AGO = 180
LIVE_START_HOUR = 8


class Origin(msgspec.Struct, frozen=True):
    """What a stream is made from: with it, a live stream continues a history exactly."""

    seed: int
    customers: int
    live_start: datetime
    days: int = 0
    fraud_share: float = FRAUD_SHARE


class NoHistory(Exception):
    """A folder does not hold a history that a live stream could continue."""


def default_live_start() -> datetime:
    """Where history ends and live traffic begins: long enough ago that simulated time may run fast and stays in the past.

    It is a morning, because at a given rate the simulated clock races through a night, when hardly anybody pays.
    """
    morning = datetime.now(UTC).replace(hour=LIVE_START_HOUR, minute=0, second=0, microsecond=0)
    return morning - timedelta(days=LIVE_START_DAYS_AGO)


def write_history(folder: Path, origin: Origin, population: Population, progress: Callable[[int, float], None]) -> int:
    """Write the history that ends at `origin.live_start` into a folder, and return its number of transactions.

    `progress` is called with the rows so far and the share of the days that is done. The files appear under their names
    when they are complete, history.json last. Raises ValueError unless `origin.live_start` is a full hour.
    """
    if milliseconds(origin.live_start) % HOUR_MS:
        raise ValueError(f"the live start has to be a full hour, but is {origin.live_start.isoformat()}")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / ORIGIN_FILE).unlink(missing_ok=True)
    parts = {name: folder / f"{name}.part" for name in (TRANSACTIONS_FILE, TRUTH_FILE)}
    rows = 0
    with (
        pq.ParquetWriter(parts[TRANSACTIONS_FILE], TRANSACTION_ARROW) as all_of_them,
        pq.ParquetWriter(parts[TRUTH_FILE], LABEL_ARROW) as truth,
    ):
        for piece, share in _pieces(population, origin):
            all_of_them.write_table(piece.transactions)
            truth.write_table(piece.truth)
            rows += len(piece.transactions)
            progress(rows, share)
    for name, part in parts.items():
        part.replace(folder / name)
    (folder / ORIGIN_FILE).write_bytes(msgspec.json.format(msgspec.json.encode(origin)))
    return rows


def read_origin(folder: Path) -> Origin:
    """What the history in this folder was made from. Raises NoHistory where there is none."""
    file = folder / ORIGIN_FILE
    try:
        return msgspec.json.decode(file.read_bytes(), type=Origin)
    except (OSError, msgspec.DecodeError) as error:
        raise NoHistory(
            f"{file} does not say what a history was made from ({error}); "
            f"`python -m generator history --out {folder}` writes one"
        ) from None


def _pieces(population: Population, origin: Origin) -> Iterator[tuple[Batch, float]]:
    """The history in pieces of at least ROWS_AT_ONCE, each with the share of the hours that is then done."""
    hours = origin.days * 24
    start = origin.live_start - timedelta(days=origin.days)
    gathered: list[Batch] = []
    for number, batch in enumerate(islice(transactions(population, start, origin.fraud_share), hours), 1):
        gathered.append(batch)
        if number == hours or sum(len(piece.transactions) for piece in gathered) >= ROWS_AT_ONCE:
            yield Batch(*(pa.concat_tables(tables) for tables in zip(*gathered, strict=True))), number / hours
            gathered = []
