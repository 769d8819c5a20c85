"""Where the application's log lines go: rotating files with time, level, query and micro-batch; warnings to the console."""

import contextvars
import logging
import logging.handlers
import os
import sys
from pathlib import Path
from typing import Final

from settings import Settings

query: Final[contextvars.ContextVar[str]] = contextvars.ContextVar("query", default="-")
micro_batch: Final[contextvars.ContextVar[str]] = contextvars.ContextVar("micro_batch", default="-")

WORKERS: Final = "workers.log"
"""What Spark's Python workers and Java print on standard error."""

_MEGABYTES: Final = 1 << 20
_LARGEST: Final = 10 * _MEGABYTES
_BACKUPS: Final = 5


def set_up_logs(settings: Settings, name: str) -> None:
    """Log to `name`.log in settings.log_dir (10 MB × 5), and warnings and worse also to standard error."""
    settings.log_dir.mkdir(parents=True, exist_ok=True)
    file = logging.handlers.RotatingFileHandler(
        settings.log_dir / f"{name}.log", maxBytes=_LARGEST, backupCount=_BACKUPS
    )
    file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(query)s %(micro_batch)s %(name)s: %(message)s"))
    console = logging.StreamHandler(sys.stderr)
    console.setFormatter(logging.Formatter("%(levelname)s %(query)s %(micro_batch)s: %(message)s"))
    console.setLevel(logging.WARNING)
    for handler in (file, console):
        handler.addFilter(_add_place)
    root = logging.getLogger()
    root.handlers[:] = [file, console]
    root.setLevel(settings.log_level)
    for chatty in ("mlflow", "alembic"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    logging.getLogger("kafka").setLevel(
        logging.CRITICAL
    )  # it tells of each attempt; the caller gets the error, and says so
    logging.getLogger("urllib3").setLevel(logging.ERROR)  # it tells of every retry; who retries in vain says so itself
    # It tells of each failed micro-batch with a stack trace; the query fails with the same error, and that is told once.
    logging.getLogger("py4j").setLevel(logging.CRITICAL)


def keep_small(path: Path, largest: int = _LARGEST, backups: int = _BACKUPS) -> None:
    """Where a file has grown beyond `largest` bytes, keep it as `path`.1 (the older ones as .2, …) and empty it.

    Of one that is more than twice as large, only the end is kept.

    The file stays the same one: whoever appends to it has it open. What is written in the same moment may be lost.
    """
    try:
        size = path.stat().st_size
    except FileNotFoundError:
        return
    if size <= largest:
        return
    numbered = [path.with_name(f"{path.name}.{number}") for number in range(1, backups + 1)]
    for older, newer in zip(numbered[:0:-1], numbered[-2::-1], strict=True):
        if newer.exists():
            newer.replace(older)
    with path.open("rb") as file:
        file.seek(max(0, size - 2 * largest))
        numbered[0].write_bytes(file.read(2 * largest))
    os.truncate(path, 0)


def _add_place(record: logging.LogRecord) -> bool:
    record.query, record.micro_batch = query.get(), micro_batch.get()
    return True
