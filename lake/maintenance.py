"""Keeps the lake small: joins small files, deletes old days, clears the log, by delta-rs and without Spark."""

import logging
import re
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final, NamedTuple

import pyarrow as pa
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from lake.place import LakeUnusable, Place
from lake.rows import DAY, DRIFT_COUNTS, LABELS, SCORES

SMALL_FILES: Final = 64
"""So many small files of one day are joined when the archive looks; fewer are left as they are."""

_TARGET_BYTES: Final = 128 << 20
"""A file that has reached this is no longer small, and is not written again."""

KEPT_HOURS: Final = 168
"""So long what is no longer needed stays, for those who may be reading it."""

_KEY: Final = {DAY, "topic_id", "partition", "offset", "transaction_id"}
"""Columns that both tables have had in all releases."""

_log = logging.getLogger(__name__)


class Figures(NamedTuple):
    """What a table holds: files and bytes of its newest version, and the version."""

    table: str
    files: int
    bytes: int
    version: int


def tables(place: Place) -> dict[str, DeltaTable]:
    """The tables that are there, by name. Raises LakeUnusable where one can't be read, or is of something else."""
    addresses = {name: place.table(name).replace("s3a://", "s3://") for name in (SCORES, LABELS)}
    return {name: _opened(address) for name, address in addresses.items() if DeltaTable.is_deltatable(address)}


def _opened(address: str) -> DeltaTable:
    try:
        table = DeltaTable(address)
    except DeltaError as error:
        raise LakeUnusable(f"the table {address} can't be read, or its log is damaged: {one_line(error)}") from error
    columns = {field.name for field in table.schema().fields}
    if lacking := _KEY - columns:
        raise LakeUnusable(
            f"{address} is a table of something else than a lake: it lacks {', '.join(sorted(lacking))}; "
            "name the folder that the archive writes to"
        )
    return table


def one_line(error: Exception) -> str:
    """What delta-rs says, without its own calls and its colours.

    >>> one_line(DeltaError("Kernel error: Json error: Truncated record\\n   0: <unknown>\\n   1: start_thread"))
    'Kernel error: Json error: Truncated record'
    """
    said = re.split(r"\n\s*0: ", str(error), maxsplit=1)[0]
    return " ".join(re.sub(r"\x1b\[[0-9;]*m|↳", " ", said).split())


def figures(place: Place) -> list[Figures]:
    """What each table holds."""
    found = []
    for name, table in tables(place).items():
        sizes = [int(size) for size in _files(table)["size_bytes"]]
        found.append(Figures(name, len(sizes), sum(sizes), table.version()))
    return found


def compact_small(place: Place) -> int:
    """Join the files of days that have many; returns how many files fewer there are. For a holder of the lock."""
    fewer = 0
    for name, table in tables(place).items():
        files = _files(table)
        sizes = zip(files[f"partition.{DAY}"], files["size_bytes"], strict=True)
        counts = Counter(str(day) for day, size in sizes if size < _TARGET_BYTES)
        for day in sorted(day for day, count in counts.items() if count >= SMALL_FILES):
            joined = table.optimize.compact([(DAY, "=", day)], target_size=_TARGET_BYTES, max_concurrent_tasks=1)
            fewer += joined["numFilesRemoved"] - joined["numFilesAdded"]
            _log.info("%s of %s: %d files joined to %d", name, day, joined["numFilesRemoved"], joined["numFilesAdded"])
    return fewer


def compact(place: Place) -> None:
    """Join all small files of all days. For a holder of the lock, like all below."""
    for table in tables(place).values():
        table.optimize.compact(target_size=_TARGET_BYTES, max_concurrent_tasks=1)


def delete_before(place: Place, days: int, now: datetime | None = None) -> None:
    """Delete the days that are older than so many days; the files follow once `clean` finds them old enough."""
    oldest = (now or datetime.now(UTC)).date() - timedelta(days=days)
    for table in tables(place).values():
        table.delete(f"{DAY} < '{oldest.isoformat()}'")


def clean(place: Place, hours: int = KEPT_HOURS) -> int:
    """Delete files that no version of the last so many hours has, and the log before.

    Returns how many files are gone of those that the log still names, which it does for some days.

    Among them are those that a write left behind which was killed. Less than an hour may take those of one that goes on.
    """
    gone, counts = 0, place.table(DRIFT_COUNTS).replace("s3a://", "s3://")
    more = [DeltaTable(counts)] if DeltaTable.is_deltatable(counts) else []
    for table in (*tables(place).values(), *more):
        gone += len(table.vacuum(hours, dry_run=False, enforce_retention_duration=False, full=True))
        table.create_checkpoint()
        table.cleanup_metadata()
    return gone


class Upkeep:
    """What the archive does beside its writing: joins small files, and once a day deletes what is too old.

    days: that are kept; None: all. For a holder of the lock.
    """

    def __init__(self, place: Place, days: int | None) -> None:
        self._place = place
        self._days = days
        self._cleaned: date | None = None

    def look(self) -> None:
        """Called now and then."""
        compact_small(self._place)
        today = datetime.now(UTC).date()
        if today == self._cleaned:
            return
        if self._days is not None:
            delete_before(self._place, self._days)
        _log.info("%d files of the lake that nothing needs are gone", clean(self._place))
        self._cleaned = today


def _files(table: DeltaTable) -> dict[str, list[Any]]:
    """The files of a table's newest version, as columns."""
    return pa.table(table.get_add_actions(flatten=True)).to_pydict()
