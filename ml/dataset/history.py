"""Past transactions, read from Parquet or CSV files in pieces, each checked to be what `ml.schema` says."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Self

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from ml.dataset.utf8 import not_utf8
from ml.features.currencies import AS_PAID, Rates
from ml.schema import EXTRA_PREFIX, REQUIRED_FIELDS, TRANSACTION_ARROW, TRANSACTION_FIELDS, is_extra_name

_PIECE_ROWS: Final = 100_000
_PIECE_BYTES: Final = 16 << 20
_EARLIEST_MS, _LATEST_MS = -62_135_596_800_000, 253_402_300_799_999  # the years 1 to 9999
_BESIDE: Final = ("truth", "labels")
_RANGES: Final = {
    "amount": (0.0, float(np.finfo(np.float64).max)),
    "latitude": (-90.0, 90.0),
    "longitude": (-180.0, 180.0),
}

# In a CSV a time may be finer than the milliseconds that count here.
_CSV_TYPES: Final = {field.name: field.type for field in TRANSACTION_ARROW} | {
    "event_time": pa.timestamp("us", tz="UTC")
}


class HistoryError(Exception):
    """A history can't be read; the text says which file, what was required and what came."""


@dataclass(frozen=True)
class History:
    """The files of a history, oldest first, how many transactions are in them, and the extras that all of them have.

    extras: the names of numbers that a bank has beside the contract's fields. The extra `a` stands in the column `extra_a`.
    rates: by which its amounts are compared.
    """

    files: tuple[Path, ...]
    rows: int
    extras: tuple[str, ...] = ()
    rates: Rates = AS_PAID

    @classmethod
    def open(cls, path: Path, rates: Rates = AS_PAID) -> Self:
        """The history in a file, or in the .parquet and .csv files of a folder, in the order of their names.

        A simulator's truth and labels (`truth.parquet`, `labels.parquet`) may be beside them and are ignored. Raises
        `HistoryError` where there is nothing, or where a file's columns are not those of a transaction.
        """
        found = sorted(path.iterdir()) if path.is_dir() else [path]
        files = tuple(file for file in found if file.suffix in (".parquet", ".csv") and file.stem not in _BESIDE)
        if not path.exists() or not files:
            what = "no file there" if not path.exists() else f"no .parquet or .csv file there{_instead(found)}"
            raise HistoryError(
                f"{path} should be a history of transactions, but there is {what}; `python -m generator history` writes one"
            )
        return cls(files, sum(map(_count, files)), _common_extras(files), rates)

    def without_extras(self) -> Self:
        """The same transactions, with nothing but the contract's fields."""
        return replace(self, extras=())

    def pieces(self) -> Iterator[pa.Table]:
        """The transactions in time order, as tables of some 100,000 rows.

        Their columns are those of `ml.schema.TRANSACTION_ARROW` and then the extras, each under its name, as float64, null
        where unknown. Raises
        `HistoryError` at the first value that no transaction has, and where event_time goes back.
        """
        latest = np.iinfo(np.int64).min
        for file in self.files:
            row = 0
            for batch in _batches(file, self.extras):
                if not batch.num_rows:
                    continue
                _refuse_other_text(batch, file, row)
                piece = _as_transactions(batch, file, self.extras)
                _refuse_bad_values(piece, file, row)
                _refuse_infinite(piece, self.extras, file, row)
                _refuse_other_years(piece, file, row)
                latest = _refuse_disorder(piece, file, row, latest)
                row += piece.num_rows
                yield piece


def _instead(found: list[Path]) -> str:
    """What lies in a folder in place of a history's files, where that says what to do."""
    packed = [path.name for path in found if path.suffix in (".gz", ".zip", ".zst", ".bz2")]
    if packed:
        return f" ({packed[0]} has to be unpacked)"
    folders = [path.name for path in found if path.is_dir() and "=" in path.name]
    return f", only folders such as {folders[0]}: write it without partitionBy" if folders else ""


def _count(file: Path) -> int:
    schema = _schema(file)
    _refuse_other_columns(schema, file)
    if file.suffix == ".parquet":
        return int(pq.read_metadata(file).num_rows)
    return sum(batch.num_rows for batch in _csv(file, ["amount"]))


@contextmanager
def _reading(file: Path) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError, UnicodeError) as error:
        raise HistoryError(
            f"{file} is not a readable {file.suffix[1:]} file of transactions: {error} "
            "(event_time is ISO 8601 with zone; amount, latitude and longitude are numbers)"
        ) from error


def _schema(file: Path) -> pa.Schema:
    with _reading(file):
        if file.suffix == ".parquet":
            return pq.read_schema(file)
        with pyarrow.csv.open_csv(file) as reader:
            return pa.schema([(name, _csv_type(name)) for name in reader.schema.names])


def _csv_type(name: str) -> pa.DataType:
    return pa.float64() if name.startswith(EXTRA_PREFIX) else _CSV_TYPES.get(name, pa.string())


def _common_extras(files: Sequence[Path]) -> tuple[str, ...]:
    schemas = [_schema(file) for file in files]
    columns = [name for name in schemas[0].names if name.startswith(EXTRA_PREFIX)]
    for file, schema in zip(files, schemas, strict=True):
        columns = [name for name in columns if name in schema.names]
        for name in columns:
            if not _fits(came := schema.field(name).type, pa.float64()):
                raise HistoryError(f"the extra column {name} of {file} must hold numbers, but it is {came}")
            if not is_extra_name(name.removeprefix(EXTRA_PREFIX)):
                raise HistoryError(
                    f"the extra column {name} of {file} must be {EXTRA_PREFIX} and then a name of letters, digits and "
                    "underscores that begins with a letter and is no field of a transaction: rename it"
                )
    return tuple(name.removeprefix(EXTRA_PREFIX) for name in columns)


def _refuse_other_columns(schema: pa.Schema, file: Path) -> None:
    twice = [name for name in TRANSACTION_FIELDS if schema.names.count(name) > 1]
    if twice:
        raise HistoryError(
            f"{file} has the column {', '.join(twice)} twice, so which one counts is not known: drop one"
        )
    lacking = [name for name in REQUIRED_FIELDS if name not in schema.names]
    if lacking:
        raise HistoryError(
            f"{file} lacks the column {', '.join(lacking)}; a transaction has {', '.join(REQUIRED_FIELDS)}"
        )
    for required in TRANSACTION_ARROW:
        if required.name in schema.names and not _fits(came := schema.field(required.name).type, required.type):
            raise HistoryError(f"the column {required.name} of {file} must be {required.type}, but it is {came}")


def _fits(came: pa.DataType, required: pa.DataType) -> bool:
    """Whether every value of one type is, or rounds to, one of the other. A time without zone could be any time."""
    if pa.types.is_dictionary(came):
        came = came.value_type
    if pa.types.is_null(came):
        return True
    if pa.types.is_timestamp(required):
        return pa.types.is_timestamp(came) and came.tz is not None
    if pa.types.is_floating(required):
        return pa.types.is_floating(came) or pa.types.is_integer(came) or pa.types.is_decimal(came)
    return pa.types.is_string(came) or pa.types.is_large_string(came) or pa.types.is_string_view(came)


def _batches(file: Path, extras: Sequence[str]) -> Iterator[pa.RecordBatch]:
    wanted = [*TRANSACTION_FIELDS, *(EXTRA_PREFIX + name for name in extras)]
    if file.suffix == ".csv":
        yield from _csv(file, wanted)
        return
    with _reading(file), pq.ParquetFile(file) as parquet:
        columns = [name for name in wanted if name in parquet.schema_arrow.names]
        yield from parquet.iter_batches(_PIECE_ROWS, columns=columns)


def _csv(file: Path, columns: list[str]) -> Iterator[pa.RecordBatch]:
    options = pyarrow.csv.ConvertOptions(
        column_types={name: _csv_type(name) for name in columns},
        include_columns=columns,
        include_missing_columns=True,
        strings_can_be_null=True,
        null_values=[""],
    )
    blocks = pyarrow.csv.ReadOptions(block_size=_PIECE_BYTES)
    with _reading(file), pyarrow.csv.open_csv(file, blocks, convert_options=options) as reader:
        yield from reader


def _as_transactions(batch: pa.RecordBatch, file: Path, extras: Sequence[str]) -> pa.Table:
    present = set(batch.schema.names)
    schema = pa.schema([*TRANSACTION_ARROW, *(pa.field(name, pa.float64()) for name in extras)])
    stored = [*TRANSACTION_FIELDS, *(EXTRA_PREFIX + name for name in extras)]
    columns = [
        batch.column(name).cast(field.type, safe=False) if name in present else pa.nulls(batch.num_rows, field.type)
        for name, field in zip(stored, schema, strict=True)
    ]
    for name, column in zip(schema.names, columns, strict=True):
        if name in REQUIRED_FIELDS and column.null_count:
            raise HistoryError(
                f"{name} must have a value in each row of {file}, but {column.null_count:,} rows have none"
            )
    return pa.Table.from_arrays(columns, schema=schema)


def _refuse_other_text(batch: pa.RecordBatch, file: Path, row: int) -> None:
    found = not_utf8(batch)
    if found is not None:
        raise HistoryError(f"{found.column} must be UTF-8, but in row {row + found.row + 1:,} of {file} it is not")


def _refuse_bad_values(piece: pa.Table, file: Path, row: int) -> None:
    for name, (least, most) in _RANGES.items():
        values = piece[name].to_numpy()  # NaN where it is null
        unknown = np.isnan(values) & (name not in REQUIRED_FIELDS)
        bad = np.flatnonzero(~((values >= least) & (values <= most) | unknown))
        if len(bad):
            what = "a finite number of at least 0" if name == "amount" else f"between {least:g} and {most:g}"
            raise HistoryError(
                f"{name} must be {what}, but in row {row + bad[0] + 1:,} of {file} it is {values[bad[0]]:g}"
            )


def _refuse_infinite(piece: pa.Table, extras: Sequence[str], file: Path, row: int) -> None:
    for name in extras:
        bad = np.flatnonzero(np.isinf(piece[name].to_numpy()))
        if len(bad):
            raise HistoryError(
                f"{EXTRA_PREFIX}{name} must be finite or empty, but in row {row + bad[0] + 1:,} of {file} it is infinite"
            )


def _refuse_other_years(piece: pa.Table, file: Path, row: int) -> None:
    times = piece["event_time"].cast(pa.int64()).to_numpy()
    bad = np.flatnonzero((times < _EARLIEST_MS) | (times > _LATEST_MS))
    if len(bad):
        raise HistoryError(
            f"event_time must be in the years 1 to 9999, but in row {row + bad[0] + 1:,} of {file} it is "
            f"{times[bad[0]]:,} ms since 1970"
        )


def _refuse_disorder(piece: pa.Table, file: Path, row: int, latest: int) -> int:
    times = np.concatenate([[latest], piece["event_time"].cast(pa.int64()).to_numpy()])
    back = np.flatnonzero(times[1:] < times[:-1])
    if len(back):
        raise HistoryError(
            f"event_time goes back in row {row + back[0] + 1:,} of {file}; a history is sorted by event_time, oldest first"
        )
    return int(times[-1])
