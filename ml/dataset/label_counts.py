"""What a file of labels holds that changes nothing, or can't be right: counted and reported, so that a broken feed is seen."""

import logging
from typing import NamedTuple

import numpy as np

from ml.arrays import Hashes, Ints
from ml.dataset.labels import Labels
from ml.label_rule import UNKNOWN

_log = logging.getLogger(__name__)


class LabelCounts(NamedTuple):
    """Of so many labels: those that changed nothing when they came, since their source had said so before or another one
    counts; those that withdraw; those of transactions that the history does not have; those that came before theirs."""

    labels: int
    changed_nothing: int
    withdrawals: int
    of_unknown: int
    before_transaction: int


def label_counts(labels: Labels, transactions: Hashes, times: Ints) -> LabelCounts:
    """Counts of labels (m,) of the history's transactions that have one: hashes (n,), at times (n,) ms."""
    changed = labels.changes()
    order = np.argsort(transactions)
    place = np.searchsorted(transactions, labels.transaction, sorter=order)
    row = np.append(order, -1)[place]
    known = (row >= 0) & (np.append(transactions, np.uint64(0))[row] == labels.transaction)
    nothing = (changed.labelled == 0) & (changed.fraud == 0)
    return LabelCounts(
        len(labels.time),
        int(nothing.sum()),
        int((labels.verdict == UNKNOWN).sum()),
        int((~known).sum()),
        int((known & (labels.time < np.append(times, 0)[row])).sum()),
    )


def report(counts: LabelCounts, where: str) -> None:
    """Log what is odd among labels, in one line; nothing where nothing is."""
    if counts.of_unknown or counts.before_transaction:
        _log.warning(
            "%s: of %d labels %d are of transactions that are not there, %d came before theirs, %d changed nothing, "
            "%d withdraw",
            where,
            counts.labels,
            counts.of_unknown,
            counts.before_transaction,
            counts.changed_nothing,
            counts.withdrawals,
        )
