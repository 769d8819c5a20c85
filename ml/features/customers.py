"""Where each customer's state is found: identities, and the table of states."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import xxhash

from ml.compiling import compiled
from ml.features import CUSTOMER, FOLD_VERSION, Folded, fold

IDENTITY: Final = np.dtype([("high", "u8"), ("low", "u8")])


def identify(customer_ids: Iterable[str]) -> np.ndarray:
    """128-bit xxh3 hashes of customer ids: (n,) IDENTITY. The same on every machine and in every process."""
    digest = xxhash.xxh3_128_digest
    packed = b"".join([digest(customer_id.encode()) for customer_id in customer_ids])
    return np.frombuffer(packed, ">u8").astype(np.uint64).view(IDENTITY)


Allocate = Callable[[str, int, np.dtype[Any]], np.ndarray]


def zeros(name: str, length: int, dtype: "np.dtype[Any]") -> np.ndarray:  # noqa: ARG001
    """A new array in memory, all zero."""
    return np.zeros(length, dtype)


class Customers:
    """The states of many customers, each in a row that is found by the customer's identity.

    Rows are in the order of first appearance. The arrays come from `allocate(name, length, dtype)`, all zero or, where
    they are memory-mapped, as another process of this machine left them.
    """

    def __init__(self, allocate: Allocate = zeros, capacity: int = 1 << 10, count: int = 0) -> None:
        self._allocate = allocate
        self.count = count
        self._map(capacity)

    @property
    def capacity(self) -> int:
        """How many rows there is room for."""
        return len(self._states)

    @property
    def states(self) -> np.ndarray:
        """(count,) CUSTOMER."""
        return self._states[: self.count]

    @property
    def chunks(self) -> npt.NDArray[np.int64]:
        """(count,) number of the log chunk that a row was last written to, 0 for none; kept for whoever writes the rows."""
        return self._chunks[: self.count]

    def locate(self, identities: np.ndarray) -> npt.NDArray[np.int64]:
        """The row of each identity, (n,) int64. Customers who are new get one, with an empty state."""
        self._reserve(self.count + len(identities))
        rows = np.empty(len(identities), np.int64)
        self.count = _find_or_add(self._states, self._index, self.count, identities["high"], identities["low"], rows)
        return rows

    def find(self, identities: np.ndarray) -> npt.NDArray[np.int64]:
        """The row of each identity, (n,) int64, -1 for customers who are not there. Nothing is changed."""
        rows = np.empty(len(identities), np.int64)
        _find(self._states, self._index, identities["high"], identities["low"], rows)
        return rows

    def forget_from(self, count: int) -> None:
        """Remove all customers but the first `count`, as if the others had never been located."""
        self._index[self._index > count] = 0  # those who came first were placed without regard to those who came later
        self._states[count : self.count] = np.zeros(1, CUSTOMER)
        self._chunks[count : self.count] = 0
        self.count = count

    def _map(self, capacity: int) -> None:
        self._states = self._allocate("states", capacity, CUSTOMER)
        self._chunks = self._allocate("chunks", capacity, np.dtype(np.int64))
        self._index = self._allocate("index", 2 * capacity, np.dtype(np.int64))

    def _reserve(self, rows: int) -> None:
        if rows <= self.capacity:
            return
        states, chunks = self.states, self.chunks
        self._map(1 << (rows - 1).bit_length())
        self._states[: self.count] = states
        self._chunks[: self.count] = chunks
        _find_or_add(self._states, self._index, 0, states["id_high"], states["id_low"], np.empty(len(states), np.int64))


@compiled
def _find_or_add(states, index, count, high, low, rows):  # type: ignore[no-untyped-def]
    """Write each id's row into `rows` and return the count of rows then.

    index: open addressing with linear probing, a power of 2 long and never more than half full; it holds row + 1, and 0
    where it is free.
    """
    mask = len(index) - 1
    for i in range(len(rows)):
        slot = np.int64((low[i] ^ (low[i] >> np.uint64(29))) & np.uint64(mask))
        while index[slot] != 0:
            state = states[index[slot] - 1]
            if state["id_low"] == low[i] and state["id_high"] == high[i]:
                break
            slot = (slot + 1) & mask
        if index[slot] == 0:
            states[count]["id_high"] = high[i]
            states[count]["id_low"] = low[i]
            count += 1
            index[slot] = count
        rows[i] = index[slot] - 1
    return count


@compiled
def _find(states, index, high, low, rows):  # type: ignore[no-untyped-def]
    """As `_find_or_add`, but an id that is nowhere has the row -1."""
    mask = len(index) - 1
    for i in range(len(rows)):
        slot = np.int64((low[i] ^ (low[i] >> np.uint64(29))) & np.uint64(mask))
        rows[i] = -1
        while index[slot] != 0:
            state = states[index[slot] - 1]
            if state["id_low"] == low[i] and state["id_high"] == high[i]:
                rows[i] = index[slot] - 1
                break
            slot = (slot + 1) & mask


class CustomerTable:
    """The states of all customers of a log that is folded in one process, such as a history."""

    def __init__(self) -> None:
        self._customers = Customers()
        self._ids: list[str] = []

    @property
    def customers(self) -> int:
        """How many customers have been folded."""
        return self._customers.count

    @property
    def states(self) -> np.ndarray:
        """(customers,) CUSTOMER, in the order of first appearance."""
        return self._customers.states

    def fold(self, customer_ids: "pa.StringArray | pa.ChunkedArray[pa.StringScalar]", events: np.ndarray) -> Folded:
        """Fold one piece of the log: customer_ids (n,) string, events (n,) EVENT, both in log order."""
        column = customer_ids.combine_chunks() if isinstance(customer_ids, pa.ChunkedArray) else customer_ids
        encoded = column.dictionary_encode()
        names: list[str] = encoded.dictionary.to_pylist()  # type: ignore[assignment]  # customer_id is never null
        known = self.customers
        rows = self._customers.locate(identify(names))
        self._ids += [name for name, row in zip(names, rows.tolist(), strict=True) if row >= known]
        return fold(self.states, rows[encoded.indices.to_numpy()], events)

    def write(self, path: Path, currency_version: str = "") -> None:
        """Write the states as Parquet (customer_id, state, fold_version), the form that a first start of the job takes.

        currency_version: of the rates that they were folded by, which becomes a column too; "" for none.
        """
        size, data = CUSTOMER.itemsize, pa.py_buffer(self.states.tobytes())
        fixed = pa.FixedSizeBinaryArray.from_buffers(pa.binary(size), self.customers, [None, data])
        path.parent.mkdir(parents=True, exist_ok=True)
        columns: dict[str, pa.Array[Any]] = {
            "customer_id": pa.array(self._ids, pa.string()),
            "state": fixed.cast(pa.binary()),
            "fold_version": pa.array(np.full(self.customers, FOLD_VERSION, np.int32)),
        }
        if currency_version:
            columns["currency_version"] = pa.repeat(currency_version, self.customers)
        pq.write_table(pa.table(columns), path)
