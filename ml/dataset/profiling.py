"""The profile features of a history, in one pass in the order of time: block by block, labels as they arrived."""

from pathlib import Path
from typing import Final

import numpy as np

from ml.arrays import Floats, Hashes, Ints
from ml.dataset.labels import Labels
from ml.features.profile_counts import blocks_of, label_counts, transaction_counts
from ml.features.profile_file import write
from ml.features.profile_schema import BLOCK_SECONDS, CATEGORY, COUNTS, LABEL_COUNTS, MERCHANT, PROFILE_FEATURES
from ml.features.profiles import Profiles, entity_keys

TABLE_FILE: Final = "profiles.table"
COUNTS_FILE: Final = "profile_counts.npy"
LABEL_COUNTS_FILE: Final = "profile_label_counts.npy"

_NO_LABELS: Final = np.zeros(0, np.int64)


class ProfilePass:
    """Gives each piece of a history its profile features, and takes it in.

    A transaction of block b sees the table as of block b - 1 - delay_blocks: of its own block, and later, no feature knows
    anything. A label is known from the block of its label_time on, and not before its transaction's. Without labels no fraud
    is known.
    """

    def __init__(self, labels: Labels | None, *, block_seconds: int = BLOCK_SECONDS, delay_blocks: int = 0) -> None:
        self._block_seconds = block_seconds
        self._delay = delay_blocks
        self._news = _News.from_labels(labels, block_seconds)
        self._table: Profiles | None = None
        self._counts: list[np.ndarray] = []
        self._labels = np.zeros(0, LABEL_COUNTS)

    @property
    def table(self) -> Profiles:
        """The table that the latest transactions saw."""
        return Profiles.empty(0, self._block_seconds) if self._table is None else self._table

    @property
    def waiting(self) -> tuple[np.ndarray, np.ndarray]:
        """COUNTS and LABEL_COUNTS that the table does not have yet: of later blocks."""
        return np.concatenate([np.zeros(0, COUNTS), *self._counts]), self._labels

    def features(self, events: np.ndarray, features: Floats, folded: Ints) -> Floats:
        """(n, len(PROFILE_FEATURES)) of the next n transactions.

        events: (n,) EVENT in the order of time. features: (n, len(FEATURES)). folded: rows of those that count, which are all
        but duplicates; the others have features, but are not taken in.
        """
        out = np.empty((len(events), len(PROFILE_FEATURES)))
        if not len(events):
            return out
        block = blocks_of(events["time"], self._block_seconds)
        self._learn(events[folded], block[folded])
        if self._table is None:
            self._table = Profiles.empty(int(block[0]) - 1 - self._delay, self._block_seconds)
        self._enter(events)
        bounds = np.flatnonzero(np.diff(block)) + 1
        for rows in np.split(np.arange(len(events)), bounds):
            self._move_on(int(block[rows[0]]) - 1 - self._delay)
            here = events[rows]
            out[rows] = self._table.features(here["merchant"], here["category"], features[rows, 0])
            counted = folded[slice(*np.searchsorted(folded, (rows[0], rows[-1] + 1)))]
            of = events[counted]
            self._counts.append(transaction_counts(of["merchant"], of["category"], block[counted], features[counted]))
        return out

    def write(self, folder: Path) -> None:
        """Write what the history ends with to a folder: the table as of the block before its last transaction's, and the counts
        of that one, which may not be over. Labels that came after it are left out: a job will read them.
        """
        folder.mkdir(parents=True, exist_ok=True)
        write(self.table, folder / TABLE_FILE)
        counts, labels = self.waiting
        np.save(folder / COUNTS_FILE, counts)
        last = counts["block"].max(initial=self.table.as_of)
        np.save(folder / LABEL_COUNTS_FILE, labels[labels["block"] <= last])

    def _enter(self, events: np.ndarray) -> None:
        """Make room for all entities of a piece at once: they are as unknown as before."""
        for kind, name in ((MERCHANT, "merchant"), (CATEGORY, "category")):
            entity = np.unique(events[name])
            self.table.make_room(entity_keys(np.full(len(entity), kind), entity)[entity != 0])

    def _learn(self, events: np.ndarray, block: Ints) -> None:
        """What labels say, at any time, of the transactions of a piece: it waits until then."""
        news, rows = self._news.of(events["transaction"])
        known = np.maximum(self._news.block[news], block[rows])
        of = events[rows]
        counts = label_counts(
            of["merchant"], of["category"], block[rows], self._news.since[news], known, self._news.frauds[news]
        )
        waiting = np.concatenate([self._labels, counts])
        self._labels = waiting[np.argsort(waiting["block"], kind="stable")]

    def _move_on(self, block: int) -> None:
        table = self.table
        if block <= table.as_of:
            return
        table.advance(block)
        over = [counts for counts in self._counts if counts["block"][0] <= block]
        if over:
            table.take_in(np.concatenate(over))
            self._counts = [counts for counts in self._counts if counts["block"][0] > block]
        known = int(np.searchsorted(self._labels["block"], block, "right"))
        if known:
            table.take_in_labels(self._labels[:known])
            self._labels = self._labels[known:]


class _News:
    """What labels change of what is known: of which transaction, by how many frauds, in which block, of a label since which."""

    def __init__(self, transaction: Hashes, block: Ints, since: Ints, frauds: Ints) -> None:
        order = np.argsort(transaction, kind="stable")
        self.transaction, self.block = transaction[order], block[order]
        self.since, self.frauds = since[order], frauds[order]

    @classmethod
    def from_labels(cls, labels: Labels | None, block_seconds: int) -> "_News":
        if labels is None:
            return cls(np.zeros(0, np.uint64), _NO_LABELS, _NO_LABELS, _NO_LABELS)
        fraud = labels.changes().fraud.astype(np.int64)
        rows = np.flatnonzero(fraud)
        transaction, frauds, block = labels.transaction[rows], fraud[rows], blocks_of(labels.time[rows], block_seconds)
        return cls(transaction, block, _since(transaction, block, frauds), frauds)

    def of(self, transactions: Hashes) -> tuple[Ints, Ints]:
        """Which of the news are of these transactions (n,), and of which of those each one is."""
        begin = np.searchsorted(self.transaction, transactions)
        many = np.searchsorted(self.transaction, transactions, "right") - begin
        rows = np.repeat(np.arange(len(transactions)), many)
        within = np.arange(len(rows)) - np.repeat(np.cumsum(many) - many, many)
        return begin[rows] + within, rows


def _since(transaction: Hashes, block: Ints, frauds: Ints) -> Ints:
    """The block of the label that each change counts: its own; where it takes one back, that of the change before."""
    order = np.argsort(transaction, kind="stable")  # a transaction's changes alternate: said, taken back, said again
    before = np.concatenate([block[order][:1], block[order][:-1]])
    since = np.empty_like(block)
    since[order] = np.where(frauds[order] > 0, block[order], before)
    return since
