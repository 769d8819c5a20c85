"""Keeps the lake small: joins small files, deletes old days, clears the log, by delta-rs and without Spark."""

import logging
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

from deltalake import DeltaTable

from lake.place import Place
from lake.rows import DAY, LABELS, SCORES

SMALL_FILES: Final = 64
"""So many files of one day are joined when the archive looks; fewer are left as they are."""

_TARGET_BYTES: Final = 128 << 20
_VACUUM_HOURS: Final = 168

_log = logging.getLogger(__name__)


class Figures(NamedTuple):
    """What a table holds: files and bytes of its newest version, and the version."""

    table: str
    files: int
    bytes: int
    version: int


def tables(place: Place) -> dict[str, DeltaTable]:
    """The tables that are there, by name."""
    addresses = {name: place.table(name).replace("s3a://", "s3://") for name in (SCORES, LABELS)}
    return {name: DeltaTable(address) for name, address in addresses.items() if DeltaTable.is_deltatable(address)}


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
        counts: dict[str, int] = {}
        for day in _files(table)[f"partition.{DAY}"]:
            counts[str(day)] = counts.get(str(day), 0) + 1
        for day in sorted(day for day, count in counts.items() if count >= SMALL_FILES):
            joined = table.optimize.compact([(DAY, "=", day)], target_size=_TARGET_BYTES, max_concurrent_tasks=1)
            fewer += joined["numFilesRemoved"] - joined["numFilesAdded"]
            _log.info("%s of %s: %d files joined to %d", name, day, joined["numFilesRemoved"], joined["numFilesAdded"])
    return fewer


def compact(place: Place) -> None:
    """Join all small files of all days."""
    with place.writing():
        for table in tables(place).values():
            table.optimize.compact(target_size=_TARGET_BYTES, max_concurrent_tasks=1)


def delete_before(place: Place, days: int, now: datetime | None = None) -> None:
    """Delete the days that are older than so many days; the files follow once `clean` finds them old enough."""
    oldest = (now or datetime.now(UTC)).date() - timedelta(days=days)
    with place.writing():
        for table in tables(place).values():
            table.delete(f"{DAY} < '{oldest.isoformat()}'")


def clean(place: Place, hours: int = _VACUUM_HOURS) -> int:
    """Delete files that no version of the last so many hours has, and the log before; returns how many files."""
    gone = 0
    with place.writing():
        for table in tables(place).values():
            gone += len(table.vacuum(hours, dry_run=False, enforce_retention_duration=False))
            table.create_checkpoint()
            table.cleanup_metadata()
    return gone


def _files(table: DeltaTable) -> dict[str, list[Any]]:
    """The files of a table's newest version, as columns."""
    import pyarrow as pa

    return pa.table(table.get_add_actions(flatten=True)).to_pydict()
