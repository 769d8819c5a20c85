"""What is kept on the disk: the state, whole and durable, and the log of deliveries, which rotates."""

import json
import logging
import logging.handlers
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from filelock import FileLock, Timeout

from detection.durable_folder import DurableFolder
from detection.errors import CheckpointIncomplete
from detection.storage import decoded
from notifications.books import State
from notifications.books import decoded as state_of
from notifications.channel import Report
from notifications.errors import NotificationError

_STATE: Final = "state"
_LOG: Final = "deliveries.jsonl"
_LARGEST: Final = 10_000_000
_BACKUPS: Final = 5


class Kept:
    """The folder of one process. Raises `NotificationError` where another process has it, or it can't be used."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lock = FileLock(folder / "lock")
            self._lock.acquire(timeout=0)
            self._files = DurableFolder.on_disk(folder)
            self._log = _rotating(folder / _LOG)
        except Timeout:
            raise NotificationError(f"{folder} is used by another process of scoreline notify") from None
        except OSError as error:
            raise NotificationError(f"the folder {folder} can't be used: {error}") from error

    def read(self) -> State | None:
        """The state as it was saved last; None at a first start. Raises `NotificationError` for a damaged one."""
        try:
            content = self._files.read_newest(_STATE)
            return None if content is None else decoded(content, _STATE, state_of)
        except (OSError, CheckpointIncomplete):
            raise NotificationError(
                f"the state in {self.folder} is damaged: put it back from a copy, or delete the folder, to begin with "
                "what comes from now on"
            ) from None

    def save(self, state: State) -> None:
        """Save the state, whole or not at all. Raises OSError."""
        self._files.write_newest(_STATE, state.encoded())

    def log(self, report: Report, form: str) -> None:
        """One line for an attempt to deliver a message."""
        message, outcome = report.message, report.outcome
        line = {
            "at": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "outcome": "delivered" if outcome.delivered else "failed" if report.done else "retried",
            "channel": report.channel,
            "delivery": message.id,
            "kind": message.kind,
            "route": message.route,
            "group": message.group,
            "count": message.count,
            "format": form,
            "attempt": report.attempt,
            "waited_s": round(max(datetime.now(UTC).timestamp() - message.at, 0.0), 3),
            "why": outcome.why,
        }
        self._log.emit(logging.makeLogRecord({"msg": json.dumps(line, ensure_ascii=False)}))

    def close(self) -> None:
        """Let another process use the folder."""
        self._log.close()
        self._lock.release()


def _rotating(path: Path) -> logging.Handler:
    return logging.handlers.RotatingFileHandler(
        path, maxBytes=_LARGEST, backupCount=_BACKUPS, delay=True, encoding="utf-8"
    )
