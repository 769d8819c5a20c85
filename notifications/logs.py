"""The log of the process: warnings on standard error, all in a file that rotates."""

import logging
import logging.handlers
from pathlib import Path
from typing import Final

_FORM: Final = "%(asctime)s %(levelname)s %(name)s: %(message)s"
_LARGEST: Final = 10_000_000
_BACKUPS: Final = 3


def set_up_logs(folder: Path, level: str) -> None:
    """Log to notify.log in a folder, and what is a warning or more severe to standard error as well."""
    handlers: list[logging.Handler] = [logging.StreamHandler()]
    handlers[0].setLevel(logging.WARNING)
    folder.mkdir(parents=True, exist_ok=True)
    handlers.append(
        logging.handlers.RotatingFileHandler(
            folder / "notify.log", maxBytes=_LARGEST, backupCount=_BACKUPS, encoding="utf-8"
        )
    )
    logging.basicConfig(format=_FORM, level=level, handlers=handlers, force=True)
