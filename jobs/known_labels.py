"""What labels said of transactions: found by the index, kept until they change, and what each change counts."""

from typing import Final, NamedTuple

import numpy as np

from jobs.profile_rows import ENTRY, LABEL, by_transaction
from jobs.sorted_files import SortedFiles
from ml.arrays import Hashes, Ints
from ml.features.profile_counts import label_counts
from ml.label_rule import FRAUD, changes, counting

KNOWN: Final = np.dtype([*ENTRY.descr, ("known", "u1"), ("label_block", "i8")])
"""A transaction that was labelled. known: as `ml.label_rule` has it. label_block: in which the label came that it is counted
as a fraud for."""

EARLY: Final = np.dtype([*LABEL.descr, ("block", "i8")])
"""A label of a transaction that is not known yet, and the block in which it came."""

MOST_EARLY: Final = 100_000

_IS_FRAUD: Final = np.array([counting(known) == FRAUD for known in range(64)])


class Taken(NamedTuple):
    """What labels change. counts: (c,) LABEL_COUNTS. known: (t,) KNOWN, by transaction. early: (e,) EARLY, those that wait.

    unchanged: labels that said nothing new. given_up: those of which no transaction came.
    """

    counts: np.ndarray
    known: np.ndarray
    early: np.ndarray
    unchanged: int
    given_up: int


def newest_of_each(older: np.ndarray, newer: np.ndarray) -> np.ndarray:
    """KNOWN of both, sorted by transaction; of the same transaction the newer one."""
    both = by_transaction(np.concatenate([older, newer]))
    last = np.ones(len(both), np.bool_)
    last[:-1] = both["transaction"][1:] != both["transaction"][:-1]
    newest: np.ndarray = both[last]
    return newest


def take_in(
    labels: np.ndarray, early: np.ndarray, at: int, forget: int, index: SortedFiles, known: SortedFiles
) -> Taken:
    """Take in labels (m,) LABEL that came in block `at`, after those that wait; what came before block `forget` is given up."""
    arrived = np.empty(len(early) + len(labels), EARLY)
    arrived[: len(early)] = early
    arrived["block"][len(early) :] = at
    arrived["block"][arrived["block"] == 0] = at  # those that came before any transaction, when no block was known
    for name in LABEL.names or ():
        arrived[name][len(early) :] = labels[name]
    transactions, rows = np.unique(arrived["transaction"], return_inverse=True)
    states, there = _states(transactions, index, known)
    ours = there[rows]
    taken, rows = arrived[ours], rows[ours]
    before = states["known"].copy()
    found = states["known"].copy()
    changes(found, rows.astype(np.int64), taken["source"], taken["verdict"])
    states["known"] = found
    differ = found != before
    counts, states["label_block"] = _counts(states, _IS_FRAUD[before], _IS_FRAUD[found], at)
    waiting = _last_of_each(arrived[~ours])
    kept = waiting[waiting["block"] >= forget][-MOST_EARLY:]
    return Taken(counts, states[there & differ], kept, int((~differ[rows]).sum()), len(waiting) - len(kept))


def _last_of_each(waiting: np.ndarray) -> np.ndarray:
    """The last label of each transaction and source, in the order of arrival."""
    order = np.lexsort((np.arange(len(waiting)), waiting["source"], waiting["transaction"]))
    ordered = waiting[order]
    last = np.ones(len(ordered), np.bool_)
    last[:-1] = (ordered["transaction"][1:] != ordered["transaction"][:-1]) | (
        ordered["source"][1:] != ordered["source"][:-1]
    )
    return waiting[np.sort(order[last])]


def _states(transactions: Hashes, index: SortedFiles, known: SortedFiles) -> tuple[np.ndarray, np.ndarray]:
    """What is known of each transaction (t,), ascending: (t,) KNOWN, and which are there at all (t,) bool."""
    states, there = known.find(transactions)
    missing = np.flatnonzero(~there)
    # Of scores that name the same transaction the first counts: anybody may write one more, later.
    entries, found = index.find(transactions[missing], oldest=True)
    for name in ENTRY.names or ():
        states[name][missing[found]] = entries[name][found]
    there[missing[found]] = True
    return states, there


def _counts(states: np.ndarray, was: np.ndarray, becomes: np.ndarray, at: int) -> tuple[np.ndarray, Ints]:
    """LABEL_COUNTS of the transactions (t,) that became frauds, or no longer are; and the label block of each (t,)."""
    label_block = np.where(becomes & ~was, at, states["label_block"])
    rows = np.flatnonzero(was != becomes)
    some = states[rows]
    frauds = np.where(becomes[rows], 1, -1)
    known_block = np.maximum(np.maximum(at, some["block"]), label_block[rows])
    places = some["block"], label_block[rows], known_block
    return label_counts(some["merchant"], some["category"], *places, frauds), label_block
