"""Where each customer's state is found: identities, the table of states, and the groups that states are packed in."""

from collections.abc import Iterable
from pathlib import Path
from typing import Final

import numba
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import xxhash

from ml.features import CUSTOMER, Folded, fold

IDENTITY: Final = np.dtype([("high", "u8"), ("low", "u8")])


def identify(customer_ids: Iterable[str]) -> np.ndarray:
    """128-bit xxh3 hashes of customer ids: (n,) IDENTITY. The same on every machine and in every process."""
    digest = xxhash.xxh3_128_digest
    packed = b"".join([digest(customer_id.encode()) for customer_id in customer_ids])
    return np.frombuffer(packed, ">u8").astype(np.uint64).view(IDENTITY)


def group_of(identities: np.ndarray, groups: int) -> npt.NDArray[np.int64]:
    """Which of `groups` groups each customer is packed in: (n,) int64."""
    return (identities["low"] % np.uint64(groups)).astype(np.int64)


def locate(states: np.ndarray, identities: np.ndarray) -> tuple[np.ndarray, npt.NDArray[np.int64]]:
    """The states with a row appended for each customer not yet among them, and each identity's row.

    states: (m,) CUSTOMER; identities: (n,) IDENTITY. Returns (m + new,) CUSTOMER, a copy, and (n,) int64.
    """
    high = np.concatenate([states["id_high"], identities["high"]])
    low = np.concatenate([states["id_low"], identities["low"]])
    rows, firsts = _rows(high, low)
    grown = np.zeros(len(firsts), CUSTOMER)
    grown[: len(states)] = states
    grown["id_high"], grown["id_low"] = high[firsts], low[firsts]
    return grown, rows[len(states) :]


@numba.njit(cache=True)
def _rows(high, low):  # type: ignore[no-untyped-def]
    """For each of n ids the rank of its first occurrence among the distinct ones, and where each distinct one occurs first."""
    n = len(low)
    size = 16
    while size < 2 * n:
        size *= 2
    table = np.full(size, -1, np.int64)
    rows = np.empty(n, np.int64)
    firsts = np.empty(n, np.int64)
    distinct = 0
    for i in range(n):
        slot = np.int64((low[i] ^ (low[i] >> np.uint64(29))) & np.uint64(size - 1))
        while table[slot] >= 0:
            first = firsts[table[slot]]
            if low[first] == low[i] and high[first] == high[i]:
                break
            slot = (slot + 1) & (size - 1)
        if table[slot] < 0:
            table[slot] = distinct
            firsts[distinct] = i
            distinct += 1
        rows[i] = table[slot]
    return rows, firsts[:distinct]


class CustomerTable:
    """The states of all customers of a log that is folded in one process, such as a history."""

    def __init__(self) -> None:
        self._states = np.zeros(0, CUSTOMER)
        self._ids: list[str] = []

    @property
    def customers(self) -> int:
        """How many customers have been folded."""
        return len(self._states)

    @property
    def states(self) -> np.ndarray:
        """(customers,) CUSTOMER, in the order of first appearance."""
        return self._states

    def fold(self, customer_ids: "pa.StringArray | pa.ChunkedArray[pa.StringScalar]", events: np.ndarray) -> Folded:
        """Fold one piece of the log: customer_ids (n,) string, events (n,) EVENT, both in log order."""
        column = customer_ids.combine_chunks() if isinstance(customer_ids, pa.ChunkedArray) else customer_ids
        encoded = column.dictionary_encode()
        names: list[str] = encoded.dictionary.to_pylist()  # type: ignore[assignment]  # customer_id is never null
        known = len(self._states)
        self._states, rows = locate(self._states, identify(names))
        self._ids += [name for name, row in zip(names, rows.tolist(), strict=True) if row >= known]
        return fold(self._states, rows[encoded.indices.to_numpy()], events)

    def write(self, path: Path) -> None:
        """Write the states as Parquet (customer_id, state), the form that a first start of the job takes."""
        size = CUSTOMER.itemsize
        fixed = pa.FixedSizeBinaryArray.from_buffers(
            pa.binary(size), len(self._states), [None, pa.py_buffer(self._states.tobytes())]
        )
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(
            pa.table({"customer_id": pa.array(self._ids, pa.string()), "state": fixed.cast(pa.binary())}), path
        )
