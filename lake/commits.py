"""What each version of a table added, by the table's own log, so that a reader takes each row in once."""

import json
from collections.abc import Iterator
from typing import Any, Final, NamedTuple
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.fs as pafs
from deltalake import DeltaTable
from deltalake.fs import DeltaStorageHandler

from lake.rows import DAY

_AT_ONCE: Final = 64


class Step(NamedTuple):
    """Rows that are read together: of a version, or of a part of a first reading, which ends with the version."""

    version: int | None
    files: list[str]


def steps(table: DeltaTable, since: int | None) -> Iterator[Step]:
    """What a table gained after a version, in the order in which it did; None: all that it has.

    Files that only join others add no rows, and are passed over. Where the log of a version is deleted already, all that the
    table has is read again.
    """
    files = _file_system(table)
    newest = table.version()
    if since is not None:
        try:
            for version in range(since + 1, newest + 1):
                yield Step(version, _added(files, version))
        except FileNotFoundError:
            since = None
        else:
            return
    every = [unquote(str(path)) for path in pa.table(table.get_add_actions())["path"].to_pylist()]
    for start in range(0, len(every), _AT_ONCE):
        yield Step(None, every[start : start + _AT_ONCE])
    yield Step(newest, [])


class Change(NamedTuple):
    """What versions did to rows. added: files with new rows, by day; touched: days that files with rows were taken from."""

    added: dict[str, list[str]]
    touched: set[str]


def changes(table: DeltaTable, since: int) -> Change | None:
    """What came after a version; None where the log of one of them is deleted already."""
    files, change = _file_system(table), Change({}, set())
    try:
        for version in range(since + 1, table.version() + 1):
            for kind, action in _actions(files, version):
                day = day_of_file(action["path"])
                if kind == "add":
                    change.added.setdefault(day, []).append(unquote(action["path"]))
                else:
                    change.touched.add(day)
    except FileNotFoundError:
        return None
    return change


def day_of_file(path: str) -> str:
    """The day of the rows in a file, as in its path.

    >>> day_of_file("day=2026-03-02/part-0.parquet")
    '2026-03-02'
    """
    return unquote(path).split("/")[0].removeprefix(f"{DAY}=")


def rows_of(table: DeltaTable, files: list[str], schema: pa.Schema) -> ds.Dataset:
    """The rows of some of a table's files."""
    days = ds.partitioning(pa.schema([(DAY, pa.date32())]), flavor="hive")
    return ds.dataset(files, schema, "parquet", _file_system(table), days)


def all_rows(table: DeltaTable, schema: pa.Schema) -> ds.Dataset:
    """All rows of a table; a column of `schema` that an older release did not write yet is null."""
    found: ds.Dataset = table.to_pyarrow_dataset()
    newer = [field for field in schema if field.name not in found.schema.names]
    if not newer:
        return found
    whole: Any = found.replace_schema  # its stub says that it returns nothing
    rows: ds.Dataset = whole(pa.schema([*found.schema, *newer]))
    return rows


def _file_system(table: DeltaTable) -> pafs.PyFileSystem:
    return pafs.PyFileSystem(DeltaStorageHandler(table.table_uri))


def _added(files: pafs.PyFileSystem, version: int) -> list[str]:
    return [unquote(action["path"]) for kind, action in _actions(files, version) if kind == "add"]


def _actions(files: pafs.PyFileSystem, version: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """The files with rows that a version added or removed ("add", "remove"); those that were only joined are left out."""
    with files.open_input_stream(f"_delta_log/{version:020}.json") as stream:
        actions = [json.loads(line) for line in stream.read().splitlines()]
    for action in actions:
        for kind in ("add", "remove"):
            if kind in action and action[kind].get("dataChange", True):
                yield kind, action[kind]
