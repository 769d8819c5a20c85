"""The state of all queries of a checkpoint, in one table: for a person, for a machine (JSON), and for a health check."""

import errno
import os
import shutil
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec
from kafka.errors import KafkaError
from rich.table import Table

from detection.hadoop_uris import named_folder
from jobs.runtime.claim import LOCKS, holder_of, is_held
from jobs.runtime.health import HEALTH, STALE_SECONDS, Health, read_health
from jobs.runtime.lag import Waiting, ends, waiting
from jobs.runtime.progress import Offsets, Progress, progress
from settings import Settings

QUERIES: Final = ("detect", "publish", "thresholds", "profiles", "archive")

_FULL_BYTES: Final = 64 << 10
"""With less room than this a disk is full."""

_COUNTING_SECONDS: Final = 3.0
"""For all queries together, what waits is counted; for what is left of them then, and for many records, offsets count."""

_FULL: Final = "the disk of the checkpoint is full"


class QueryStatus(msgspec.Struct):
    """Of one query. unhealthy: why, or None. Times are seconds since 1970; lag is None where Kafka did not say.

    lag_exact: lag was counted; else it is by offsets, and at most so many records wait.
    """

    query: str
    running: bool
    state: str
    unhealthy: str | None
    committed: int | None
    committed_at: float | None
    lag: int | None
    lag_exact: bool
    failing_since: float | None
    attempts: int
    cause: str | None
    micro_batch: int | None
    offsets: Offsets | None
    facts: dict[str, Any]
    holder: str | None


class Kafka(NamedTuple):
    """Kafka's answer: beginnings and ends of all topics that the checkpoint reads; empty where there is none."""

    beginnings: Offsets
    ends: Offsets


def local_checkpoint(uri: str) -> Path:
    """The folder that a checkpoint's path or URI names. Raises ValueError where it is on no local disk."""
    found = named_folder(uri)
    if found is None:
        raise ValueError(
            f"the status of a checkpoint is read from a local disk, but this one is {uri}: see the health files in the "
            "application's log folder (health/), and Spark's page"
        )
    return found


def queries_of(checkpoint: Path) -> list[str]:
    """The queries that have run on a checkpoint. Raises ValueError where this user may not read it."""
    try:
        for folder in (checkpoint, *(checkpoint / name for name in (LOCKS, HEALTH, *QUERIES)), *_logs(checkpoint)):
            _look_into(folder)
    except OSError as error:
        raise ValueError(
            f"the checkpoint {checkpoint} can't be read ({error.strerror}: {error.filename}): ask as the user that the job "
            "runs as, or name another checkpoint"
        ) from None
    return [
        name for name in QUERIES if (checkpoint / name).is_dir() or read_health(checkpoint / HEALTH, name) is not None
    ]


def _logs(checkpoint: Path) -> list[Path]:
    return [checkpoint / query / log for query in QUERIES for log in ("offsets", "commits")]


def _look_into(folder: Path) -> None:
    """Raises OSError where the folder is there, and its files may not be read."""
    with suppress(FileNotFoundError, NotADirectoryError):
        for file in os.scandir(folder):
            if file.is_file() and not os.access(file.path, os.R_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), file.path)


def statuses(checkpoint: Path, queries: list[str], settings: Settings) -> list[QueryStatus]:
    """The state of the queries. Asks Kafka once, for some seconds at most."""
    found = {query: progress(checkpoint / query) for query in queries}
    kafka = _ask(settings, sorted({topic for one in found.values() for topic in one.read}))
    stalled_after = 60 * settings.stalled_after_minutes
    deadline = time.monotonic() + _COUNTING_SECONDS

    def of(query: str) -> QueryStatus:
        behind = _behind(settings, found[query].read, kafka, deadline)
        return _status(checkpoint, query, found[query], behind, stalled_after + _pause(settings, query))

    return [of(query) for query in queries]


def _behind(settings: Settings, read: Offsets, kafka: Kafka, deadline: float) -> Waiting | None:
    own = {topic: kafka.ends[topic] for topic in read if topic in kafka.ends}
    return waiting(settings, read, kafka.beginnings, own, deadline - time.monotonic()) if own else None


def _pause(settings: Settings, query: str) -> float:
    """Seconds between a query's micro-batches, in which records wait and nothing is wrong."""
    pauses = {
        "publish": settings.publish_interval_seconds,
        "thresholds": settings.thresholds_interval_seconds,
        "profiles": settings.profiles_interval_seconds,
        "archive": settings.lake_interval_seconds,
    }
    return pauses.get(query, 0.0)


def _ask(settings: Settings, topics: list[str]) -> Kafka:
    if not topics:
        return Kafka({}, {})
    try:
        return Kafka(*ends(settings, topics))
    except (KafkaError, OSError):
        return Kafka({}, {})


def _status(checkpoint: Path, query: str, at: Progress, behind: Waiting | None, stalled_after: float) -> QueryStatus:
    health = read_health(checkpoint / HEALTH, query)
    held = is_held(checkpoint, query)
    beating = health is not None and time.time() - health.heartbeat < STALE_SECONDS
    holder = holder_of(checkpoint, query) if held else None
    running = held and beating
    unhealthy = _not_running(checkpoint, health, held) if not running else _ailing(health, at, behind, stalled_after)
    if unhealthy is None and _is_full(checkpoint):  # what the application last wrote of itself is from before
        unhealthy = _FULL
    health = health or Health(query, "unknown", 0, 0, 0)
    return QueryStatus(
        query,
        running,
        health.state if running or health.state in ("stopped", "ended") else "not running",
        unhealthy,
        at.committed,
        at.committed_at,
        None if behind is None else behind.records,
        behind is not None and behind.exact,
        health.failing_since,
        health.attempts,
        health.cause,
        health.micro_batch if health.micro_batch is not None else at.planned,
        health.offsets or at.planned_end or None,
        health.facts,
        None if holder is None else str(holder),
    )


def _is_full(checkpoint: Path) -> bool:
    with suppress(OSError):
        return shutil.disk_usage(checkpoint).free < _FULL_BYTES
    return False


def _not_running(checkpoint: Path, health: Health | None, held: bool) -> str:
    if held:
        silent = "" if health is None else f" for {time.time() - health.heartbeat:.0f} s"
        if _is_full(checkpoint):
            return f"{_FULL}; its application runs, but could write nothing{silent}"
        return f"its application runs, but is silent{silent}"
    if health is not None and health.state == "ended":
        return f"not running: {health.cause}"
    return "not running"


def _ailing(health: Health | None, at: Progress, behind: Waiting | None, stalled_after: float) -> str | None:
    assert health is not None
    if health.state in ("failing", "stalled", "ended"):
        return health.cause or health.state
    quiet = time.time() - max(at.committed_at or 0.0, health.since)
    if behind is not None and behind.records and quiet > stalled_after:
        at_most = "" if behind.exact else "at most "
        return f"{at_most}{behind.records:,} records behind, and no micro-batch was finished for {quiet / 60:.0f} min"
    return None


def as_table(found: list[QueryStatus], kafka_servers: str) -> Table:
    """The statuses for a person."""
    table = Table("query", "state", "last commit", "lag", "model", "thresholds", "health")
    for one in found:
        commit = "none" if one.committed is None else f"{one.committed}, {_ago(one.committed_at)}"
        lagging = "unknown" if one.lag is None else f"{'' if one.lag_exact else '≤ '}{one.lag:,}"
        model, thresholds = (str(one.facts.get(name, "")) for name in ("model", "thresholds"))
        table.add_row(one.query, one.state, commit, lagging, model, thresholds, _health(one))
    notes = [note for one in found for note in _notes(one)]
    if any(one.lag is None for one in found):
        notes.append(f"lag is unknown where nothing was read yet, or Kafka does not answer at {kafka_servers}")
    if any(one.lag and not one.lag_exact for one in found):
        notes.append("lag with ≤ is by offsets, among which marks of Kafka's transactions and aborted records may be")
    table.caption = "\n".join(notes) or None
    return table


def _notes(one: QueryStatus) -> list[str]:
    """What of the scores counts as unknown, although it was given."""
    notes = {"currency_unknown": "a currency that the rates lack", "extras_refused": "extras that were refused"}
    return [
        f"{one.facts[name]:,} scores since the start have {what}" for name, what in notes.items() if one.facts.get(name)
    ]


def _health(one: QueryStatus) -> str:
    if one.unhealthy is None:
        return "well"
    parts = [one.unhealthy]
    if one.failing_since is not None:
        parts.append(f"since {_ago(one.failing_since)}, {one.attempts} attempts")
    if one.micro_batch is not None:
        parts.append(f"micro-batch {one.micro_batch}")
    return "; ".join(parts)


def _ago(at: float | None) -> str:
    if at is None:
        return "?"
    seconds = max(0.0, time.time() - at)
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit} ago"
    return f"{seconds:.0f} s ago"
