"""What an earlier release wrote: the registry, the initial state, the checkpoint, and the records of its topics."""

import base64
import json
import sqlite3
import tarfile
from pathlib import Path
from typing import Any, Final, NamedTuple

ARCHIVE: Final = Path(__file__).with_name("release-2136989.tar.xz")
"""Of commit 2136989, as `record.py` made it there."""


class Record(NamedTuple):
    """A Kafka record."""

    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, str | bytes | None]]


class Release:
    """The files of a release in a folder, as if it had run there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with tarfile.open(ARCHIVE) as packed:
            packed.extractall(folder, filter="data")
        _move(folder / "registry" / "mlflow.db", (folder / "made_at").read_text(), str(folder))

    @property
    def registry(self) -> str:
        """The registry's URI."""
        return f"sqlite:///{self.folder / 'registry' / 'mlflow.db'}"

    @property
    def initial_state(self) -> Path:
        """What training folded."""
        return next((self.folder / "state").rglob("*.parquet"))

    @property
    def checkpoint(self) -> Path:
        """Of a job that ran detect, publish and thresholds."""
        return self.folder / "checkpoint"

    def records(self, topic: str) -> list[Record]:
        """All records of `recorded.TOPIC`, by partition and offset."""
        lines = (self.folder / f"{topic}.jsonl").read_text().splitlines()
        return [_record(json.loads(line)) for line in lines]

    def values(self, topic: str) -> list[bytes]:
        """Their values."""
        return [record.value or b"" for record in self.records(topic)]


def _record(found: dict[str, Any]) -> Record:
    headers: list[tuple[str, str | bytes | None]] = [(name, _bytes(text)) for name, text in found["headers"]]
    places = found["partition"], found["offset"], found["timestamp"]
    return Record(*places, _bytes(found["key"]), _bytes(found["value"]), headers)


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else base64.b64decode(text)


def _move(database: Path, old: str, new: str) -> None:
    """The registry names its artifacts by absolute paths."""
    with sqlite3.connect(database) as connection:
        for (table,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            for _, column, kind, *_ in connection.execute(f"PRAGMA table_info('{table}')").fetchall():
                if "CHAR" in kind.upper() or "TEXT" in kind.upper():
                    where = f"WHERE instr({column}, ?)"
                    connection.execute(
                        f"UPDATE {table} SET {column} = replace({column}, ?, ?) {where}", (old, new, old)
                    )
    connection.close()
