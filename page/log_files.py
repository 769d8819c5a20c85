"""Where the page's log lines go: a rotating file with all of them, and warnings to the console."""

import logging
import logging.handlers
import sys
from typing import Final

from page.errors import PageError
from settings import Settings

_LARGEST_BYTES: Final = 10 << 20
_BACKUPS: Final = 5


def set_up_logs(settings: Settings) -> None:
    """Log to page.log in settings.log_dir (10 MB × 5), and warnings and worse to standard error. Raises `PageError`."""
    try:
        settings.log_dir.mkdir(parents=True, exist_ok=True)
        file = logging.handlers.RotatingFileHandler(settings.log_dir / "page.log", "a", _LARGEST_BYTES, _BACKUPS)
    except OSError as error:
        raise PageError(f"the log folder {settings.log_dir} can't be used: {error}") from error
    file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    console = logging.StreamHandler(sys.stderr)
    console.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
    console.setLevel(logging.WARNING)
    root = logging.getLogger()
    root.handlers[:] = [file, console]
    root.setLevel(settings.log_level)
    logging.getLogger("alembic").setLevel(logging.WARNING)
