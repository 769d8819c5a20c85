"""The replica's states on disk, with the place in the log that they are as of: what a restart begins with.

A log of chunks (`detection.state_log`): each snapshot appends the customers who were touched since the one before, and the
log is cleaned as it grows. A snapshot counts once its `about` file is written; what was written for it before is whole by then.
"""

import logging
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

from detection.durable_folder import DurableFolder
from detection.state_log import CHUNK_ROWS, ChunkLog
from ml.arrays import Ints
from ml.features import FEATURE_SET, FOLD_VERSION
from ml.features.customers import Customers
from serving.errors import StateRefused
from serving.kept_files import decoded

_log = logging.getLogger(__name__)

_HEAD: Final = -1
_ABOUT: Final = "about"
_CHUNK: Final = "chunk-"
_PAUSE_SECONDS: Final = 5.0


class About(msgspec.Struct, frozen=True):
    """What a snapshot is of: next offset by partition of a topic, and what the states in it mean."""

    log: bytes
    offsets: dict[int, int]
    topic: str
    topic_id: str
    fold_version: int = FOLD_VERSION
    feature_set: str = FEATURE_SET
    currency_version: str = ""


_decode: Final = msgspec.json.Decoder(About).decode


class _Files:
    """A `KeyValue` over a folder: what is put is held until it is written, and then read from the disk."""

    def __init__(self, folder: DurableFolder, head: bytes | None, *, at_once: bool = False) -> None:
        self._folder = folder
        self._at_once = at_once
        self.head = head
        self.put_chunks: dict[int, bytes] = {}
        self.removed: list[int] = []

    def get(self, key: int) -> bytes | None:
        """See `KeyValue`."""
        return self.head if key == _HEAD else self._folder.read(f"{_CHUNK}{key}")

    def put(self, key: int, value: bytes) -> None:
        """See `KeyValue`."""
        if key == _HEAD:
            self.head = value
        elif self._at_once:
            self._folder.delete(f"{_CHUNK}{key}")
            self._folder.write(f"{_CHUNK}{key}", value)
        else:
            self.put_chunks[key] = value

    def remove(self, key: int) -> None:
        """See `KeyValue`."""
        self.removed.append(key)


class Snapshots:
    """Snapshots of one replica in one folder. `take` is called in the tail's thread; a thread of its own writes.

    While one is written, or can't be written (a full disk), no other is taken; the states go on changing, and the next
    one has all that was touched meanwhile.
    """

    def __init__(
        self, folder: Path, topic: str, topic_id: str, currency_version: str = "", every_seconds: float = 5.0
    ) -> None:
        self._folder = DurableFolder.on_disk(folder)
        self._topic = topic
        self._topic_id = topic_id
        self._currency_version = currency_version
        self._every = every_seconds
        self._files = _Files(self._folder, None)
        self._last = time.monotonic()
        self._writer: threading.Thread | None = None
        self.failing: str | None = None

    def load(self, customers: Customers) -> dict[int, int] | None:
        """Read the newest snapshot into an empty table; returns the next offsets, None where there is no snapshot.

        Raises `StateRefused` where it is of another topic, or of states with another meaning, or damaged.
        """
        content = self._folder.read_newest(_ABOUT)
        if content is None:
            return None
        about = decoded(content, f"state/{_ABOUT}", _decode, "put it back from a copy, or start with --rebuild")
        self._refuse_other(about)
        self._files = _Files(self._folder, about.log or None)
        log = ChunkLog(self._files)
        try:
            log.read(log.head(), customers)
        except LookupError as error:
            raise StateRefused(f"the snapshot lacks a chunk ({error}): start with --rebuild, or put it back") from error
        self._delete_unnamed(log)
        return about.offsets

    def seed(self, customers: Customers, offsets: Mapping[int, int]) -> None:
        """Write all customers as the first snapshot, a chunk at a time, in place of whatever is there."""
        for name in self._folder.names():
            self._folder.delete(name)
        self._files = _Files(self._folder, None, at_once=True)
        log = ChunkLog(self._files)
        for start in range(0, customers.count, CHUNK_ROWS):
            log.append(log.head(), customers, np.arange(start, min(start + CHUNK_ROWS, customers.count)))
        log.head()
        self._name(self._files, offsets)
        self._files = _Files(self._folder, self._files.head)

    def take(self, customers: Customers, touched: list[Ints], offsets: Mapping[int, int]) -> None:
        """Where it is time, and the one before is written, copy what was touched, and begin to write it."""
        now = time.monotonic()
        if now - self._last < self._every or not touched or (self._writer is not None and self._writer.is_alive()):
            return
        self._last = now
        rows = np.unique(np.concatenate(touched))
        touched.clear()
        log = ChunkLog(self._files)
        log.append(log.head(), customers, rows)
        files, self._files = self._files, _Files(self._folder, self._files.head)
        self._writer = threading.Thread(target=self._write, args=(files, dict(offsets)), name="snapshot", daemon=True)
        self._writer.start()

    def finish(self, customers: Customers, touched: list[Ints], offsets: Mapping[int, int], seconds: float) -> None:
        """Write what was touched last, when nothing changes any more; each write is waited for at most so long."""
        if self._writer is not None:
            self._writer.join(seconds)
        self._last = float("-inf")
        self.take(customers, touched, offsets)
        if self._writer is not None:
            self._writer.join(seconds)

    def _write(self, files: _Files, offsets: dict[int, int]) -> None:
        while True:
            try:
                for key, value in files.put_chunks.items():
                    self._folder.delete(f"{_CHUNK}{key}")
                    self._folder.write(f"{_CHUNK}{key}", value)
                self._name(files, offsets)
                for key in files.removed:
                    self._folder.delete(f"{_CHUNK}{key}")
            except OSError as error:
                if self.failing is None:
                    _log.error("the snapshot can't be written (%s); a restart would begin with the one before", error)
                self.failing = str(error)
                time.sleep(_PAUSE_SECONDS)
            else:
                if self.failing is not None:
                    _log.info("the snapshot is written again")
                self.failing = None
                return

    def _name(self, files: _Files, offsets: Mapping[int, int]) -> None:
        about = About(
            files.head or b"", dict(offsets), self._topic, self._topic_id, currency_version=self._currency_version
        )
        self._folder.write_newest(_ABOUT, msgspec.json.encode(about))

    def _delete_unnamed(self, log: ChunkLog) -> None:
        """What a killed process had written for a snapshot that never counted, or had not deleted yet."""
        head = log.head()
        named = {f"{_CHUNK}{number}" for number in range(head.first, head.first + len(head.rows))}
        for name in self._folder.names():
            if name.startswith(_CHUNK) and name not in named:
                self._folder.delete(name)

    def _refuse_other(self, about: About) -> None:
        if about.topic != self._topic or (about.topic_id and self._topic_id and about.topic_id != self._topic_id):
            raise StateRefused(
                f"the snapshot is of the topic {about.topic} ({about.topic_id or 'id not known'}), but this service follows "
                f"{self._topic} ({self._topic_id or 'id not known'}): give another --serve-state, or start with --rebuild"
            )
        if (about.fold_version, about.feature_set) != (FOLD_VERSION, FEATURE_SET):
            raise StateRefused(
                f"the snapshot holds states of fold version {about.fold_version} ({about.feature_set}), and this release folds "
                f"by {FOLD_VERSION} ({FEATURE_SET}): start with --rebuild and the state of a new training"
            )
        if about.currency_version != self._currency_version:
            raise StateRefused(
                f"the snapshot holds sums of amounts by the currency rates {about.currency_version or 'none'}, and this "
                f"service folds by {self._currency_version or 'none'}: give it those --currency-rates, or start with --rebuild"
            )
