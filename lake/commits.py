"""What each version of a table added, by the table's own log, so that a reader takes each row in once."""

import json
from collections.abc import Iterator
from typing import Final, NamedTuple
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


def rows_of(table: DeltaTable, files: list[str], schema: pa.Schema) -> ds.Dataset:
    """The rows of some of a table's files."""
    days = ds.partitioning(pa.schema([(DAY, pa.date32())]), flavor="hive")
    return ds.dataset(files, schema, "parquet", _file_system(table), days)


def _file_system(table: DeltaTable) -> pafs.PyFileSystem:
    return pafs.PyFileSystem(DeltaStorageHandler(table.table_uri))


def _added(files: pafs.PyFileSystem, version: int) -> list[str]:
    with files.open_input_stream(f"_delta_log/{version:020}.json") as stream:
        actions = [json.loads(line) for line in stream.read().splitlines()]
    added = [action["add"] for action in actions if "add" in action]
    return [unquote(add["path"]) for add in added if add.get("dataChange", True)]
