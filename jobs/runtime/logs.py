"""Where the application's log lines go: rotating files with time, level, query and micro-batch; warnings to the console."""

import contextvars
import logging
import logging.handlers
import os
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Final, TextIO

from settings import Settings

query: Final[contextvars.ContextVar[str]] = contextvars.ContextVar("query", default="-")
micro_batch: Final[contextvars.ContextVar[str]] = contextvars.ContextVar("micro_batch", default="-")

WORKERS: Final = "workers.log"
"""What Spark's Python workers and Java print on standard error."""

_MEGABYTES: Final = 1 << 20
_LARGEST: Final = 10 * _MEGABYTES
_BACKUPS: Final = 5
_SAY_AGAIN_SECONDS: Final = 60.0


class _LogFile(logging.handlers.RotatingFileHandler):
    """A log file that reports once a minute that it can't be written, and goes on when it can.

    Where somebody has moved or deleted it (a logrotate, say), the next line begins a new one; its folder is not made again,
    for that may be gone with the checkpoint.
    """

    _said = -_SAY_AGAIN_SECONDS

    def emit(self, record: logging.LogRecord) -> None:
        if self.stream is not None and not self._is_there(self.stream):
            self.stream.close()
            self.stream = None  # the next line opens it
        super().emit(record)

    def _is_there(self, stream: TextIO) -> bool:
        with suppress(OSError):
            return os.path.samestat(Path(self.baseFilename).stat(), os.fstat(stream.fileno()))
        return False

    def handleError(self, record: logging.LogRecord) -> None:
        now = time.monotonic()
        if now - self._said < _SAY_AGAIN_SECONDS:
            return
        self._said = now
        with suppress(OSError, ValueError):
            print(
                f"WARNING: the log file {self.baseFilename} can't be written ({_why(sys.exc_info()[1])}). The job goes on, and "
                "the log when it can; to start with another folder use --log-dir",
                file=sys.stderr,
            )


class _Console(logging.StreamHandler[TextIO]):
    """The console, which may be a file on a full disk or a closed pipe: then nothing can be reported there."""

    def handleError(self, record: logging.LogRecord) -> None:
        pass


class _OneLine(logging.Formatter):
    """Prints an error's text, and leaves its trace to the log file."""

    def format(self, record: logging.LogRecord) -> str:
        line = logging.LogRecord(
            record.name, record.levelno, record.pathname, record.lineno, record.getMessage(), None, None
        )
        line.query, line.micro_batch = query.get(), micro_batch.get()
        if record.exc_info and record.exc_info[1] is not None:
            line.msg = f"{line.msg}: {_why(record.exc_info[1])}"
        return super().format(line)


def _why(error: BaseException | None) -> str:
    from jobs.runtime.known_causes import explain

    return str(explain(error))


def set_up_logs(settings: Settings, name: str) -> None:
    """Log to `name`.log in settings.log_dir (10 MB × 5), and warnings and worse also to standard error."""
    settings.log_dir.mkdir(parents=True, exist_ok=True)
    file = _LogFile(settings.log_dir / f"{name}.log", maxBytes=_LARGEST, backupCount=_BACKUPS)
    file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(query)s %(micro_batch)s %(name)s: %(message)s"))
    console = _Console(sys.stderr)
    console.setFormatter(_OneLine("%(levelname)s %(query)s %(micro_batch)s: %(message)s"))
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
    )  # it logs each attempt; the caller gets the error, and reports it
    logging.getLogger("urllib3").setLevel(
        logging.ERROR
    )  # it logs every retry; code that retries reports a failure itself
    # It logs each failed micro-batch with a stack trace; the query fails with the same error, which is reported once.
    logging.getLogger("py4j").setLevel(logging.CRITICAL)


def keep_small(path: Path, largest: int = _LARGEST, backups: int = _BACKUPS) -> None:
    """Where a file has grown beyond `largest` bytes, keep it as `path`.1 (the older ones as .2, …) and empty it.

    Of one that is more than twice as large, only the end is kept.

    The file stays the same one: those who append to it have it open. What is written in the same moment may be lost.
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
    with suppress(OSError), path.open("rb") as file:  # on a full disk the bound matters more than the content
        file.seek(max(0, size - 2 * largest))
        numbered[0].write_bytes(file.read(2 * largest))
    os.truncate(path, 0)


def _add_place(record: logging.LogRecord) -> bool:
    record.query, record.micro_batch = query.get(), micro_batch.get()
    return True
