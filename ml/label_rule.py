"""The one rule of labels: which of a transaction's labels counts, and what each label that arrives changes.

Of one transaction the latest arrival of each source counts. A chargeback comes before an analyst, and an analyst before any
other source (`ml.schema.LABEL_SOURCES`; all others are one). A label whose `is_fraud` is null withdraws what its source had
said, and so the next source counts. What was withdrawn is as if it had never been said.

What is known of a transaction is one number from 0 to 63, one byte: two bits a source, 0 nothing, 1 honest, 2 fraud.
`ml.dataset.labels.Labels` gives the same over a whole table as of a time.
"""

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from ml.compiling import compiled
from ml.schema import LABEL_SOURCES

UNKNOWN, HONEST, FRAUD = range(3)
"""A verdict: what a label says, or what counts of a transaction. UNKNOWN: withdrawn, or never said."""

NOTHING_KNOWN: Final = 0
"""What is known of a transaction that has no label."""

OTHER: Final = len(LABEL_SOURCES)
SOURCES: Final = OTHER + 1
"""How many sources there are, in their order; the last is all that have no name of their own."""

Bytes = npt.NDArray[np.uint8]
Signs = npt.NDArray[np.int8]

_BITS: Final = 2
_VERDICT: Final = 3
_numbers: Final[dict[str | None, int]] = {name: number for number, name in enumerate(LABEL_SOURCES)}


class Change(NamedTuple):
    """What one label changes: what is known now, and what it adds to (1) or subtracts from (-1) the labelled and the frauds."""

    known: int
    labelled: int
    fraud: int


class Changes(NamedTuple):
    """The same of m labels: labelled, fraud (m,) of -1, 0 and 1."""

    labelled: Signs
    fraud: Signs


def source_number(source: str | None) -> int:
    """The place of a source in the order, from 0; null counts as one that has no name of its own.

    >>> source_number("chargeback"), source_number("analyst"), source_number("a neighbour"), source_number(None)
    (0, 1, 2, 2)
    """
    return _numbers.get(source, OTHER)


def verdict_number(is_fraud: bool | None) -> int:
    """What a label says."""
    return UNKNOWN if is_fraud is None else FRAUD if is_fraud else HONEST


def counting(known: int) -> int:
    """The verdict that counts, of what is known of a transaction."""
    return int(_COUNTING[known])


def change(known: int, source: str | None, is_fraud: bool | None) -> Change:
    """What a label that arrives now changes, of a transaction of which so much is known.

    >>> change(NOTHING_KNOWN, "analyst", True)
    Change(known=8, labelled=1, fraud=1)
    >>> change(8, "chargeback", False)
    Change(known=9, labelled=0, fraud=-1)
    >>> change(9, "chargeback", None)
    Change(known=8, labelled=0, fraud=1)
    """
    shift = _BITS * source_number(source)
    now = known & ~(_VERDICT << shift) | verdict_number(is_fraud) << shift
    before, after = counting(known), counting(now)
    return Change(now, (after != UNKNOWN) - (before != UNKNOWN), (after == FRAUD) - (before == FRAUD))


def changes(known: Bytes, rows: npt.NDArray[np.int64], sources: Bytes, verdicts: Bytes) -> Changes:
    """What m labels change, in the order of their arrival.

    known: (n,) what is known of each transaction, changed in place. rows: (m,) which of them each label is of. sources,
    verdicts: (m,) as `source_number` and `verdict_number` have them.
    """
    out = Changes(np.zeros(len(rows), np.int8), np.zeros(len(rows), np.int8))
    _take_in(known, rows, sources, verdicts, _COUNTING, *out)
    return out


@compiled
def _take_in(known, rows, sources, verdicts, counting, labelled, fraud):  # type: ignore[no-untyped-def]
    for i in range(len(rows)):
        before = known[rows[i]]
        shift = _BITS * np.int64(sources[i])
        now = np.int64(before) & ~(_VERDICT << shift) | np.int64(verdicts[i]) << shift
        known[rows[i]] = now
        was, becomes = counting[before], counting[now]
        labelled[i] = np.int8(becomes != UNKNOWN) - np.int8(was != UNKNOWN)
        fraud[i] = np.int8(becomes == FRAUD) - np.int8(was == FRAUD)


def _first_said(known: int) -> int:
    said = ((known >> (_BITS * source)) & _VERDICT for source in range(SOURCES))
    return next((verdict for verdict in said if verdict != UNKNOWN), UNKNOWN)


_COUNTING: Final = np.array([_first_said(known) for known in range(1 << _BITS * SOURCES)], np.uint8)
