"""The customers' state of one state partition as a log of chunks in Spark's state, with a copy on this machine to work on.

Writing each customer, or each group of customers, to Spark's state by itself costs a round trip between Python and the JVM
every time. So a micro-batch writes all the customers that it touched as one chunk, at the end of a log, and reads none:
the states are at hand in a memory-mapped copy that all Python workers of this machine share (`LocalCopy`). The copy is
not trusted without a check: it says which state it is a copy of, and where Spark's state is another, because a task failed or
was run elsewhere, the copy is read again from the log.

The log is cleaned as it grows (Rosenblum & Ousterhout, "The design and implementation of a log-structured file system",
ACM TOCS 10, 1992): what still counts of the oldest chunks moves into the new one.

What is written depends on the log before and on the events alone, never on the local copy: two attempts of one task write
the same bytes, whichever machine they run on and whatever failed there before.
"""

import mmap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Protocol

import msgspec
import numpy as np
import numpy.typing as npt
import xxhash
from filelock import FileLock

from ml.features import CUSTOMER, Folded, fold
from ml.features.customers import IDENTITY, Customers

CHUNK_ROWS: Final = 4096
"""Most customers in one chunk: 4 MiB."""

MOST_CHUNKS: Final = 2048
SPARE_ROWS: Final = 2 * CHUNK_ROWS

_HEAD: Final = -1
_FIRST: Final = 1  # a customer who is in no chunk has the number 0

Fold = Callable[[np.ndarray, np.ndarray], Folded]


class KeyValue(Protocol):
    """Where the log is kept: Spark's MapState, or in a test a dict."""

    def get(self, key: int) -> bytes | None:
        """The value, or None where there is none."""

    def put(self, key: int, value: bytes) -> None:
        """Set the value."""

    def remove(self, key: int) -> None:
        """Delete key and value."""


class Head(msgspec.Struct, frozen=True):
    """What the log consists of: the chunks from number `first` on, each with its number of rows.

    version: a hash of the version before and of what was written to it; a copy that carries the same one is a copy of just
    this log. customers: how many there are in it, each counted once.
    """

    version: bytes
    first: int
    rows: list[int]
    customers: int


class _About(msgspec.Struct):
    """Which state a local copy is a copy of, and how many customers it has and has room for."""

    version: bytes
    capacity: int
    count: int


class LocalCopy:
    """The memory-mapped copy of one state partition, in a folder that lives no longer than the query's run."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @contextmanager
    def open(self, version: bytes) -> Iterator[tuple[Customers, bool]]:
        """The customers, for this process alone, and whether they are those of `version`; otherwise there are none.

        Until `close` is called they count as no version's, so that interrupted work leaves nothing that is trusted.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        with FileLock(self._folder / "lock"):
            known = self._about()
            if known is not None and known.version == version:
                yield Customers(self._mapped, known.capacity, known.count), True
            else:
                for file in self._folder.glob("*.map"):
                    file.unlink()
                yield Customers(self._mapped), False

    def close(self, version: bytes, customers: Customers) -> None:
        """The customers are those of `version` now. To be called within `open`."""
        about = _About(version, customers.capacity, customers.count)
        (self._folder / "about").write_bytes(msgspec.msgpack.encode(about))

    def _about(self) -> _About | None:
        """What the file says, which is gone then; None where it is not whole, since who wrote it was killed meanwhile."""
        file = self._folder / "about"
        content = file.read_bytes() if file.exists() else b""
        file.unlink(missing_ok=True)
        try:
            return msgspec.msgpack.decode(content, type=_About)
        except msgspec.MsgspecError:
            return None

    def _mapped(self, name: str, length: int, dtype: "np.dtype[Any]") -> np.ndarray:
        path = self._folder / f"{name}-{length}.map"
        size = length * dtype.itemsize
        with path.open("r+b" if path.exists() else "w+b") as file:
            file.truncate(size)  # a file that is new is all zero, and takes no space where it was not written
            return np.frombuffer(mmap.mmap(file.fileno(), size), dtype)


def folded_or_untouched(
    customers: Customers, identities: np.ndarray, events: np.ndarray
) -> tuple[npt.NDArray[np.int64], Folded]:
    """Fold events of some customers: (the customers' rows, what the fold says). Where it raises, all is as it was before."""
    known = customers.count
    try:
        rows = customers.locate(identities)
        before = customers.states.take(rows)  # half the cost of an index, and no more than the fold saves by it
    except BaseException:
        customers.forget_from(known)
        raise
    try:
        return rows, fold(customers.states, rows, events)
    except BaseException:
        customers.states[rows] = before
        customers.forget_from(known)
        raise


class ChunkLog:
    """The log itself, of the customers of one state partition or of one process."""

    def __init__(self, store: KeyValue) -> None:
        self._store = store

    def seed(self, states: np.ndarray) -> None:
        """Append states (n,) CUSTOMER of customers who are not in the log yet."""
        head = self.head()
        in_order = states[np.lexsort((states["id_low"], states["id_high"]))]
        self._put_head(head, head.first, head.rows, in_order, head.customers + len(states))

    def head(self) -> Head:
        """What the log consists of now."""
        content = self._store.get(_HEAD)
        return Head(b"", _FIRST, [], 0) if content is None else msgspec.msgpack.decode(content, type=Head)

    def _put_head(self, before: Head, first: int, kept: list[int], states: np.ndarray, customers: int) -> Head:
        """Append states (n,) CUSTOMER to what is kept of the log, whose chunks begin with number `first` now."""
        pieces = [states[start : start + CHUNK_ROWS] for start in range(0, len(states), CHUNK_ROWS)]
        for number, piece in enumerate(pieces, before.first + len(before.rows)):
            self._store.put(number, piece.tobytes())
        rows = kept + [len(piece) for piece in pieces]
        version = xxhash.xxh3_128(before.version)
        version.update(msgspec.msgpack.encode((first, rows, customers)))
        version.update(np.ascontiguousarray(states).view(np.uint8).data)
        head = Head(version.digest(), first, rows, customers)
        self._store.put(_HEAD, msgspec.msgpack.encode(head))
        return head

    def read(self, head: Head, customers: Customers) -> None:
        """Read the whole log into a table that holds none of its customers yet. Raises LookupError where a chunk lacks."""
        for number in range(head.first, head.first + len(head.rows)):
            packed = self._store.get(number)
            if packed is None:
                raise LookupError(f"the state log lacks its chunk {number}: the streaming checkpoint is damaged")
            states = np.frombuffer(packed, CUSTOMER)
            identities = np.empty(len(states), IDENTITY)
            identities["high"], identities["low"] = states["id_high"], states["id_low"]
            rows = customers.locate(identities)
            customers.states[rows] = states
            customers.chunks[rows] = number

    def append(self, head: Head, customers: Customers, touched: np.ndarray) -> Head:
        """Append the touched rows, and what still counts of the oldest chunks where the log has grown too long."""
        first, kept = head.first, list(head.rows)
        states, chunks = customers.states, customers.chunks
        touched = _by_identity(touched, states)
        count = head.customers + int(np.count_nonzero(chunks[touched] == 0))
        new = head.first + len(head.rows)
        chunks[touched] = new
        most_rows = 2 * count + SPARE_ROWS
        while kept and (sum(kept) + len(touched) > most_rows or len(kept) >= MOST_CHUNKS):
            self._store.remove(first)
            first += 1
            kept.pop(0)
        moved = _by_identity(np.flatnonzero((chunks > 0) & (chunks < first)), states)
        rows = np.concatenate([touched, moved])
        for number, start in enumerate(range(0, len(rows), CHUNK_ROWS), new):
            chunks[rows[start : start + CHUNK_ROWS]] = number
        return self._put_head(head, first, kept, states[rows], count)


class StateLog(ChunkLog):
    """Folds events into the states of one state partition."""

    def __init__(self, store: KeyValue, copy: LocalCopy) -> None:
        super().__init__(store)
        self._copy = copy

    @contextmanager
    def folding(self) -> Iterator[Fold]:
        """Gives what folds events (n,) EVENT, in log order, of the customers `identities` (n,) IDENTITY, piece by piece.

        Where it raises, the piece has left no trace, and other pieces may follow. The states are written at the end, where
        nothing was raised.
        """
        head = self.head()
        with self._copy.open(head.version) as (customers, current):
            if not current:
                self.read(head, customers)
            touched: list[np.ndarray] = [np.zeros(0, np.int64)]

            def fold_piece(identities: np.ndarray, events: np.ndarray) -> Folded:
                rows, folded = folded_or_untouched(customers, identities, events)
                touched.append(rows)
                return folded

            yield fold_piece
            head = self.append(head, customers, np.unique(np.concatenate(touched)))
            self._copy.close(head.version, customers)

    def fold(self, identities: np.ndarray, events: np.ndarray) -> Folded:
        """Fold all of a micro-batch in one piece."""
        with self.folding() as fold_piece:
            return fold_piece(identities, events)


def _by_identity(rows: np.ndarray, states: np.ndarray) -> np.ndarray:
    """The rows, in an order that has nothing to do with how they came into the local copy."""
    return rows[np.lexsort((states["id_low"][rows], states["id_high"][rows]))]
