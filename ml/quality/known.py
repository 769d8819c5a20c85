"""Which transactions are known as fraud by now, since when, and from whom: what the rule of labels makes of a log of them."""

from typing import Final, NamedTuple

import numpy as np

from ml.arrays import Flags, Ints
from ml.label_rule import FRAUD, SOURCES, UNKNOWN, Bytes, changes, counting

_BITS: Final = 2


class Known(NamedTuple):
    """Of each of n transactions: whether the verdict that counts is fraud, since when (ms; 0 where it is not), and whether
    sources from 0 to 2 say fraud or honest at all (n, SOURCES)."""

    is_fraud: Flags
    since: Ints
    said: Flags

    def by_alone(self, source: int) -> Flags:
        """(n,) those that are known as fraud, and by no source but this one."""
        others = np.delete(self.said, source, axis=1).any(axis=1)
        return np.asarray(self.is_fraud & self.said[:, source] & ~others)


def known_frauds(transactions: int, rows: Ints, sources: Bytes, verdicts: Bytes, times: Ints) -> Known:
    """What m labels, in the order of their arrival, say of so many transactions.

    rows: (m,) which transaction each is of. sources, verdicts: (m,) as `ml.label_rule` has them. times: (m,) ms, when each
    became known. A fraud is known since the label that made it one, for the last time: what was withdrawn is as if it had
    never been said.
    """
    state = np.zeros(transactions, np.uint8)
    changed = changes(state, rows, sources, verdicts)
    since = np.zeros(transactions, np.int64)
    became = changed.fraud > 0
    since[rows[became]] = times[became]  # of several the last, since they are in order
    said = np.stack([(state >> (_BITS * source)) & 3 != UNKNOWN for source in range(SOURCES)], axis=1)
    is_fraud = _counting(state) == FRAUD
    return Known(is_fraud, np.where(is_fraud, since, 0), said)


def _counting(state: Bytes) -> Bytes:
    of_state = np.array([counting(known) for known in range(int(state.max(initial=0)) + 1)], np.uint8)
    verdicts: Bytes = of_state[state]
    return verdicts
