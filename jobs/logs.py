"""Where the application's log lines go: rotating files with time, level, query and micro-batch; warnings to the console."""

import contextvars
import logging
import logging.handlers
import sys
from typing import Final

from settings import Settings

query: Final[contextvars.ContextVar[str]] = contextvars.ContextVar("query", default="-")
micro_batch: Final[contextvars.ContextVar[str]] = contextvars.ContextVar("micro_batch", default="-")

_MEGABYTES: Final = 1 << 20


def set_up_logs(settings: Settings, name: str) -> None:
    """Log to `name`.log in settings.log_dir (10 MB × 5), and warnings and worse also to standard error."""
    settings.log_dir.mkdir(parents=True, exist_ok=True)
    file = logging.handlers.RotatingFileHandler(
        settings.log_dir / f"{name}.log", maxBytes=10 * _MEGABYTES, backupCount=5
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


def _add_place(record: logging.LogRecord) -> bool:
    record.query, record.micro_batch = query.get(), micro_batch.get()
    return True
