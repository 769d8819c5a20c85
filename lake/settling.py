"""Syncs a table's newest version to the local disk: what writes Delta tables does not, so a loss of power could lose it."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from urllib.parse import unquote

_LOG: Final = "_delta_log"


def settle(table: Path) -> None:
    """Sync the files that the newest version of a table added, its entry of the log, and their names. Raises OSError."""
    newest = max((table / _LOG).glob("*.json"))
    added = list(_added(table, newest))
    for path in [*added, newest, *sorted({path.parent for path in added}), table / _LOG, table]:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _added(table: Path, entry: Path) -> Iterator[Path]:
    for line in entry.read_text().splitlines():
        action = json.loads(line)
        if "add" in action:
            yield table / unquote(action["add"]["path"])
