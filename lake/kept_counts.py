"""Counts of drift that the lake keeps by day and block, so that a call counts only what came since the last one.

They are a Delta table beside the rows. A row that names the version of the scores up to which they are counted is written in
one commit with them: a call that is killed leaves what there was, and what two calls count at once counts once. Days of which
rows were deleted are counted again, from what is left of them.
"""

import hashlib
import logging
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import fields
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final, NamedTuple
from urllib.parse import unquote

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from deltalake import DeltaTable, write_deltalake
from deltalake.exceptions import DeltaError
from filelock import FileLock

from lake.commits import changes, day_of_file, rows_of
from lake.counting import count_rows
from lake.maintenance import tables
from lake.place import Place
from lake.rows import DAY, DRIFT_COUNTS, SCORE_ROW, SCORES
from ml.drift.bins import Bins
from ml.drift.counts import BLOCK, Counts, merged
from ml.model import Model

_FORM: Final = 1
_ARRAYS: Final = tuple(field.name for field in fields(Counts))[1:]
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_NO_DAY: Final = date(1, 1, 1)
"""Under which the row stands that says what was counted."""

_COLUMNS: Final[list[tuple[str, pa.DataType]]] = [
    ("model", pa.string()),
    (DAY, pa.date32()),
    ("block", pa.int64()),
    *((name, pa.list_(pa.int64())) for name in _ARRAYS),
    ("table_id", pa.string()),
    ("version", pa.int64()),
]
_ROW: Final = pa.schema(_COLUMNS)
"""The counts of a block, of the scores of a day. Of `_NO_DAY`: block, from which on there are counts, and of which table."""

_log = logging.getLogger(__name__)


class _Counted(NamedTuple):
    """Up to which version of which table there are counts, and from which block on."""

    table_id: str
    version: int
    first: int


class _Kept:
    """What is kept for a model, by its bins."""

    def __init__(self, place: Place, model: Model, bins: Bins) -> None:
        named = msgspec.json.encode([_FORM, model.name, model.version, bins, model.extras], order="deterministic")
        self.key = hashlib.sha256(named).hexdigest()[:16]
        self._bins = bins
        self._address = place.table(DRIFT_COUNTS).replace("s3a://", "s3://")

    def counted(self) -> _Counted | None:
        """None where nothing is kept, or nothing that this release can read."""
        try:
            rows = self._rows(ds.field(DAY) == pa.scalar(_NO_DAY)).to_pylist()
        except (DeltaError, OSError, pa.ArrowException) as error:
            _log.warning("the kept counts of drift can't be read, and are made again: %s", error)
            return None
        return _Counted(rows[0]["table_id"], rows[0]["version"], rows[0]["block"]) if len(rows) == 1 else None

    def by_day(self, first: int, whole: set[str]) -> dict[str, Counts]:
        """The counts of each day: all of the days in `whole`, and of others those from a block on."""
        days = [date.fromisoformat(day) for day in whole]
        wanted = (ds.field("block") >= first) | ds.field(DAY).isin(pa.array(days, pa.date32()))
        rows = self._rows((ds.field(DAY) != pa.scalar(_NO_DAY)) & wanted)
        days_of: Any = rows[DAY]
        found = {}
        for day in days_of.unique().to_pylist():
            of_day = rows.filter(pc.equal(days_of, day)).sort_by("block")
            found[day.isoformat()] = self._counts(of_day)
        return found

    def write(self, counted: _Counted, days: Mapping[str, Counts], replaced: set[str] | None) -> None:
        """Put the counts of some days in the place of those that there were, of all days where None is given."""
        tables = [self._table(date.fromisoformat(day), counts) for day, counts in days.items() if len(counts.blocks)]
        about: dict[str, Any] = {"model": [self.key], DAY: [_NO_DAY], "block": [counted.first]}
        about |= {name: [None] for name in _ARRAYS} | {"table_id": [counted.table_id], "version": [counted.version]}
        tables.append(pa.Table.from_pydict(about, _ROW))
        predicate = f"model = '{self.key}'"
        if replaced is not None:
            named = ", ".join(f"'{day}'" for day in sorted({_NO_DAY.isoformat(), *replaced}))
            predicate += f" and {DAY} in ({named})"
        there = DeltaTable.is_deltatable(self._address)
        write_deltalake(
            self._address,
            pa.concat_tables(tables),
            mode="overwrite",
            partition_by=["model", DAY],
            predicate=predicate if there else None,
        )

    def _rows(self, wanted: ds.Expression) -> pa.Table:
        if not DeltaTable.is_deltatable(self._address):
            return _ROW.empty_table()
        rows = DeltaTable(self._address).to_pyarrow_dataset().to_table(filter=(ds.field("model") == self.key) & wanted)
        return rows.select(_ROW.names).cast(_ROW)

    def _table(self, day: date, counts: Counts) -> pa.Table:
        n = len(counts.blocks)
        columns: dict[str, Any] = {"model": [self.key] * n, DAY: [day] * n, "block": counts.blocks}
        columns |= {name: list(getattr(counts, name).reshape(n, -1)) for name in _ARRAYS}
        return pa.Table.from_pydict(columns | {"table_id": [None] * n, "version": [None] * n}, _ROW)

    def _counts(self, rows: pa.Table) -> Counts:
        empty, n = Counts.empty(self._bins), rows.num_rows
        lists: dict[str, Any] = {name: rows[name].combine_chunks() for name in _ARRAYS}
        arrays = [
            np.array(lists[name].flatten(), np.int64).reshape(n, *getattr(empty, name).shape[1:]) for name in _ARRAYS
        ]
        return Counts(rows["block"].to_numpy(), *arrays)


def kept_counts(place: Place, model: Model, bins: Bins, first: int, recount: bool = False) -> Counts:
    """The counts of the scores that a model gave, from a block on, brought up to date and kept.

    recount: from all rows again. Where nothing can be kept, in a lake that can't be written to, that is logged.
    """
    kept = _Kept(place, model, bins)
    with _one_at_a_time(place):
        table = tables(place).get(SCORES)
        if table is None:
            return Counts.empty(bins)
        before = None if recount else kept.counted()
        identity = str(table.metadata().id)
        change = None
        if (
            before is not None
            and before.table_id == identity
            and before.first <= first
            and before.version <= table.version()
        ):
            change = changes(table, before.version)
        if before is None or change is None:
            counted, replaced = _Counted(identity, table.version(), first), None
            days = _count(place, model, bins, first, _current(table))
        else:
            counted, replaced = before._replace(version=table.version()), change.touched | change.added.keys()
            days = kept.by_day(first, replaced)
            current = _current(table)
            again = change.touched | {
                day for day, files in change.added.items() if not set(files) <= set(current.get(day, []))
            }
            new = {day: files for day, files in change.added.items() if day not in again}
            fresh = _count(place, model, bins, before.first, new | {day: current.get(day, []) for day in again})
            for day, counts in fresh.items():
                days[day] = counts if day in again or day not in days else merged([days[day], counts])
        if before is None or counted != before or replaced:
            _keep(
                kept,
                counted,
                {day: counts for day, counts in days.items() if replaced is None or day in replaced},
                replaced,
            )
    return merged([Counts.empty(bins), *days.values()]).between(first, np.iinfo(np.int64).max)


def _keep(kept: _Kept, counted: _Counted, days: Mapping[str, Counts], replaced: set[str] | None) -> None:
    try:
        kept.write(counted, days, replaced)
    except (DeltaError, OSError) as error:
        _log.warning("the counts of drift are not kept in the lake: %s", " ".join(str(error).split()))


def _count(place: Place, model: Model, bins: Bins, first: int, files: Mapping[str, list[str]]) -> dict[str, Counts]:
    """Of each day's files, from a block on."""
    table, since = tables(place)[SCORES], _EPOCH + timedelta(milliseconds=first * BLOCK)
    return {
        day: count_rows(place, model, bins, since, scores=rows_of(table, of_day, SCORE_ROW))
        if of_day
        else Counts.empty(bins)
        for day, of_day in files.items()
    }


def _current(table: DeltaTable) -> dict[str, list[str]]:
    """The files of a table's newest version, by day."""
    found: dict[str, list[str]] = {}
    for path in pa.table(table.get_add_actions())["path"].to_pylist():
        found.setdefault(day_of_file(str(path)), []).append(unquote(str(path)))
    return found


def _one_at_a_time(place: Place) -> AbstractContextManager[Any]:
    """Two calls on one machine count what is new once; elsewhere both count it, and one of them is kept."""
    if place.local is None or not place.local.is_dir():
        return nullcontext()
    return FileLock(place.local / ".drift.lock")
