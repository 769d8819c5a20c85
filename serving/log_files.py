"""Where the service's log lines go: a rotating file with all of them, and warnings to the console in one line each."""

import logging
import logging.handlers
import sys
import time
from typing import Final

from serving.errors import ServiceError
from settings import Settings

_LARGEST_BYTES: Final = 10 << 20
_BACKUPS: Final = 5
_SAY_AGAIN_SECONDS: Final = 60.0


class _LogFile(logging.handlers.RotatingFileHandler):
    """A log file that reports once a minute that it can't be written; the service goes on."""

    _said = float("-inf")

    def handleError(self, record: logging.LogRecord) -> None:
        now = time.monotonic()
        if now - self._said >= _SAY_AGAIN_SECONDS:
            self._said = now
            print(f"WARNING the log file {self.baseFilename} can't be written: {sys.exc_info()[1]}", file=sys.stderr)


class _OneLine(logging.Formatter):
    """An error's text; its trace is in the file."""

    def format(self, record: logging.LogRecord) -> str:
        line = logging.makeLogRecord(record.__dict__ | {"exc_info": None, "exc_text": None})
        error = record.exc_info[1] if record.exc_info else None
        return super().format(line) + (f": {type(error).__name__}: {error}" if error is not None else "")


def set_up_logs(settings: Settings) -> None:
    """Log to serving.log in settings.log_dir (10 MB × 5), and warnings and worse to standard error. Raises `ServiceError`."""
    try:
        settings.log_dir.mkdir(parents=True, exist_ok=True)
        file = _LogFile(settings.log_dir / "serving.log", maxBytes=_LARGEST_BYTES, backupCount=_BACKUPS)
    except OSError as error:
        raise ServiceError(f"the log folder {settings.log_dir} can't be used: {error}") from error
    file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    console = logging.StreamHandler(sys.stderr)
    console.setFormatter(_OneLine("%(levelname)s %(message)s"))
    console.setLevel(logging.WARNING)
    root = logging.getLogger()
    root.handlers[:] = [file, console]
    root.setLevel(settings.log_level)
    for chatty in ("mlflow", "alembic", "urllib3"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    logging.getLogger("kafka").setLevel(logging.CRITICAL)  # the caller gets the error, and reports it
