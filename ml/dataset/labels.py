"""Labels: what became known of transactions, and when; which of them counts, by the rule of `ml.label_rule`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ml.arrays import Flags, Hashes, Ints
from ml.dataset.history import HistoryError
from ml.features import DAY
from ml.features.events import hashes
from ml.label_rule import FRAUD, HONEST, OTHER, SOURCES, UNKNOWN, Bytes, Changes, changes
from ml.schema import LABEL_SOURCES

LABELS_FILE: Final = "labels.parquet"
NONE: Final = -1

_CUSTOMER: Final = "customer_id"
_IS_FRAUD: Final = "is_fraud"
_SOURCE: Final = "source"
_TYPES: Final[dict[str, pa.DataType]] = {
    "transaction_id": pa.string(),
    _CUSTOMER: pa.string(),
    _IS_FRAUD: pa.bool_(),
    "label_time": pa.timestamp("ms", tz="UTC"),
}


@dataclass(frozen=True, eq=False)
class Labels:
    """Labels (m,) in order of arrival, which is that of label_time (ms); transactions and customers are hashes of their ids.

    ids: (m,) transaction_id. source, verdict: numbers as in `ml.label_rule`. scenario: number into `scenarios`; campaign: a
    number too; NONE where a label has none.
    """

    ids: "pa.Array[pa.StringScalar]"
    transaction: Hashes
    customer: Hashes
    source: Bytes
    verdict: Bytes
    time: Ints
    scenario: Ints
    campaign: Ints
    scenarios: tuple[str, ...]

    @classmethod
    def read(cls, path: Path, *, with_customers: bool = True) -> Self:
        """Labels from a Parquet file. Raises `HistoryError` where it is none, or lacks a column.

        Where label_time is the same, the order in the file is that of arrival. Without a column `source` all labels have the
        same one. with_customers: whether customer_id is required; without it all labels are of one unknown customer.
        """
        try:
            table = pq.read_table(path)
        except (pa.ArrowException, OSError, UnicodeError) as error:
            raise HistoryError(f"{path} should be a Parquet file of labels, but can't be read: {error}") from error
        if not with_customers and _CUSTOMER not in table.column_names:
            table = table.append_column(_CUSTOMER, pa.array([""] * table.num_rows, pa.string()))
        lacking = [name for name in _TYPES if name not in table.column_names]
        if lacking:
            raise HistoryError(f"{path} lacks the column {', '.join(lacking)}; a label has {', '.join(_TYPES)}")
        try:
            table = _in_order(_typed(table))
        except pa.ArrowException as error:
            raise HistoryError(f"{path} has columns of other types than labels have: {error}") from error
        scenario, scenarios = _numbered(table, "scenario")
        return cls(
            table["transaction_id"].combine_chunks(),
            hashes(table["transaction_id"]),
            hashes(table[_CUSTOMER]),
            _source_numbers(table[_SOURCE]),
            _verdicts(table[_IS_FRAUD]),
            table["label_time"].cast(pa.int64()).to_numpy(),
            scenario,
            _numbered(table, "campaign")[0],
            scenarios,
        )

    def rows_of(self, transactions: Hashes, by: int | None = None) -> Ints:
        """The row of the label that counts of each transaction, of those that came `by` then (ms): (n,) of (n,).

        NONE where there was none, or all were withdrawn.
        """
        m = len(self.time) if by is None else int(np.searchsorted(self.time, by, "right"))
        rows = np.full(len(transactions), NONE)
        for source in range(SOURCES):
            latest = _latest(self.transaction, np.flatnonzero(self.source[:m] == source), transactions)
            said = np.append(self.verdict, UNKNOWN)[latest] != UNKNOWN  # NONE is the last
            rows = np.where((rows == NONE) & said, latest, rows)
        return rows

    def verdict_of(self, transactions: Hashes, by: int | None = None) -> Bytes:
        """What is known of transactions according to what came `by` then (ms): UNKNOWN, HONEST or FRAUD, (n,) of (n,)."""
        verdicts: Bytes = np.append(self.verdict, np.uint8(UNKNOWN))[self.rows_of(transactions, by)]
        return verdicts

    def fraud_of(self, transactions: Hashes, by: int | None = None) -> Flags:
        """Which transactions are fraud according to what came `by` then; those without a label count as honest."""
        frauds: Flags = self.verdict_of(transactions, by) == FRAUD
        return frauds

    def changes(self) -> Changes:
        """What each label changed when it arrived, of its own transaction."""
        transactions, rows = np.unique(self.transaction, return_inverse=True)
        return changes(np.zeros(len(transactions), np.uint8), rows, self.source, self.verdict)

    def known_compromised(self, customers: Hashes, day: Ints) -> Flags:
        """Whether a transaction of each one's customer was known as fraud when its day (since the epoch, UTC) began."""
        fraud = self.changes().fraud
        rows = np.flatnonzero(fraud)
        if not len(rows):
            return np.zeros(len(customers), np.bool_)
        _, first, transaction = np.unique(self.transaction, return_index=True, return_inverse=True)
        names, whose = np.unique(self.customer[first[transaction[rows]]], return_inverse=True)
        of_customer = len(rows) + 1
        keys = whose * of_customer + np.arange(len(rows))
        order = np.argsort(keys)
        frauds = np.concatenate([[0], np.cumsum(fraud[rows][order], dtype=np.int64)])
        asked = np.minimum(np.searchsorted(names, customers), len(names) - 1)
        begin, end = asked * of_customer, asked * of_customer + np.searchsorted(self.time[rows], day * DAY)
        some = frauds[np.searchsorted(keys[order], end)] > frauds[np.searchsorted(keys[order], begin)]
        known: Flags = (names[asked] == customers) & some
        return known

    def delay_days(self, transactions: Hashes, times: Ints) -> float:
        """The median delay of the labels of these transactions (n,), at times (n,) ms; 0 where there is none.

        From a day on it is in whole days.
        """
        rows = self.rows_of(transactions)
        labelled = rows != NONE
        days = float(np.median(self.time[rows[labelled]] - times[labelled]) / DAY) if labelled.any() else 0.0
        return days if days < 1 else float(round(days))


def _latest(transaction: Hashes, some: Ints, transactions: Hashes) -> Ints:
    """Of some rows, ascending, the last one of each transaction; NONE where it has none: (n,) of (n,)."""
    if not len(some):
        return np.full(len(transactions), NONE)
    order = np.argsort(transaction[some], kind="stable")  # and so the latest of a transaction's labels is last
    places = np.searchsorted(transaction[some], transactions, "right", order) - 1
    rows = some[order[places]]
    return np.where((places >= 0) & (transaction[rows] == transactions), rows, NONE)


def _typed(table: pa.Table) -> pa.Table:
    """The labels that say something of a transaction, in the columns' own types. Raises `pyarrow.ArrowException`."""
    if _SOURCE not in table.column_names:
        table = table.append_column(_SOURCE, pa.nulls(table.num_rows, pa.string()))
    for name, kind in (_TYPES | {_SOURCE: pa.string()}).items():
        table = table.set_column(table.column_names.index(name), name, table[name].cast(kind))
    for name in _TYPES:
        if name != _IS_FRAUD:  # where that is null, the label is withdrawn
            table = table.filter(pc.is_valid(table[name]))
    return table


def _in_order(table: pa.Table) -> pa.Table:
    """The labels in the order of arrival."""
    return table.take(np.argsort(table["label_time"].cast(pa.int64()).to_numpy(), kind="stable"))


def _source_numbers(names: "pa.ChunkedArray[pa.StringScalar]") -> Bytes:
    numbers: Bytes = pc.index_in(names, pa.array(LABEL_SOURCES)).fill_null(OTHER).cast(pa.uint8()).to_numpy()
    return numbers


def _verdicts(is_fraud: "pa.ChunkedArray[pa.BooleanScalar]") -> Bytes:
    verdicts: Bytes = pc.if_else(is_fraud, FRAUD, HONEST).fill_null(UNKNOWN).cast(pa.uint8()).to_numpy()
    return verdicts


def _numbered(table: pa.Table, name: str) -> tuple[Ints, tuple[str, ...]]:
    if name not in table.column_names:
        return np.full(table.num_rows, NONE), ()
    encoded = table[name].combine_chunks().cast(pa.string()).dictionary_encode()
    names: list[str] = encoded.dictionary.to_pylist()  # type: ignore[assignment]  # null is no entry of a dictionary
    indices = encoded.indices.to_pylist()
    rank = {index: number for number, index in enumerate(sorted(range(len(names)), key=names.__getitem__))}
    return np.array([NONE if index is None else rank[index] for index in indices], np.int64), tuple(sorted(names))
