"""Messages → folded, with the beginnings of their scores; a message that any step fails for affects no other."""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from detection.decision import BASIS, basis_type, extras_in
from detection.extras import members, reader_of
from detection.halves import Rows, in_halves
from detection.intake import GOOD, Intake, joined, take_in, taken
from detection.refusals import Refusals
from detection.score_json import Objects, Record, heads
from detection.state_log import Fold
from ml.features import CUSTOMER, EVENT, FEATURES, HISTORY, NO_POSITION, Folded, fold, place, position
from ml.features.currencies import AS_PAID, UNKNOWN, Rates, keep_roundness
from ml.features.customers import identify
from ml.features.declared import NOTHING, Declared, names
from ml.features.events import events
from ml.schema import Transaction
from ml.segments import segment_ids_of

FOLDED_AT_ONCE: Final = 500
"""Messages folded at a time. The states of so many customers fit into the processor's nearest cache, and then the copy that
is made of them first costs nothing, since it only brings near what the fold needs next."""


class Messages(NamedTuple):
    """n messages in log order: their keys and values, Kafka timestamps (ms), and places in the log."""

    values: Sequence[bytes | None]
    keys: Sequence[bytes | None]
    kafka_times: Sequence[int]
    partitions: Sequence[int]
    offsets: Sequence[int]

    @property
    def records(self) -> list[Record]:
        """(partition, offset, kafka_time in ms, key) of each."""
        return list(zip(self.partitions, self.offsets, self.kafka_times, self.keys, strict=True))


class Begun(NamedTuple):
    """Of n messages the m that can be judged, in log order: their rows (m,), the beginnings of their scores (m,) bytes, and
    what their judgement rests on (m,) BASIS. refusals: why the others can't. refused_extras: of messages that can be judged,
    why some of their extras are unknown, by row and name."""

    rows: Rows
    heads: Objects
    basis: np.ndarray
    refusals: Refusals
    refused_extras: dict[int, dict[str, str]]


def begin(
    messages: Messages,
    fold_some: Fold,
    max_future_hours: float,
    rates: Rates = AS_PAID,
    declared: Declared = NOTHING,
) -> Begun:
    """Parse messages, with the extras that are declared, and fold them into their customers' states by `fold_some`, amounts
    by the rates.

    It must leave the states as they were where it raises.
    """
    arrived, folded = _folded(_arrived(messages, max_future_hours, rates, declared), fold_some)
    rows, begun, basis = _begun(arrived, folded, messages.records, rates, declared)
    found = [(row, arrived.extras[row].refused) for row in rows.tolist()] if arrived.extras else []
    refused = {row: why for row, why in found if why}
    return Begun(rows, begun, basis, arrived.refusals, refused)


def fold_alone(
    messages: Messages,
    fold_some: Fold,
    max_future_hours: float,
    rates: Rates = AS_PAID,
    declared: Declared = NOTHING,
) -> None:
    """Take messages into their customers' states as `begin` does, where nothing is to be judged."""
    _folded(_arrived(messages, max_future_hours, rates, declared), fold_some)


def _arrived(messages: Messages, max_future_hours: float, rates: Rates, declared: Declared) -> Intake:
    places = position(np.asarray(messages.partitions, np.int64), np.asarray(messages.offsets, np.int64))
    kafka_times = np.asarray(messages.kafka_times, np.int64)
    return take_in(messages.values, kafka_times, places, max_future_hours, rates, declared)


def _folded(arrived: Intake, fold_some: Fold) -> tuple[Intake, Folded]:
    """Fold what arrived. Returns what has features, and these; what the fold fails for leaves no trace in the states."""
    transactions, rows, arrivals, refusals, extras = arrived

    def work(some: Rows) -> Folded:
        here = slice(int(some[0]), int(some[-1]) + 1)
        return fold_some(identify([t.customer_id for t in transactions[here]]), arrivals[here])

    failed = refusals.of_step("fold", rows.tolist())
    parts = [
        part
        for start in range(0, len(rows), FOLDED_AT_ONCE)
        for part in in_halves(work, np.arange(start, min(start + FOLDED_AT_ONCE, len(rows))), _fold_sound, failed)
    ]
    kept, *columns = joined(parts, _NONE_FOLDED)
    folded = Folded(*columns)
    _refuse_duplicates(taken(transactions, kept), rows[kept], folded, refusals)
    new = folded.duplicate_of == NO_POSITION
    if not new.all():
        kept, folded = kept[new], Folded(*(column[new] for column in folded))
    if len(kept) == len(rows):
        return arrived, folded
    return Intake(taken(transactions, kept), rows[kept], arrivals[kept], refusals, extras), folded


def _refuse_duplicates(transactions: Sequence[Transaction], rows: Rows, folded: Folded, refusals: Refusals) -> None:
    for k in np.flatnonzero(folded.duplicate_of != NO_POSITION).tolist():
        refusals.reasons[int(rows[k])] = _duplicate(transactions[k].transaction_id, int(folded.duplicate_of[k]))


def _duplicate(transaction_id: str, earlier: int) -> str:
    if earlier == HISTORY:
        return f"transaction_id {transaction_id!r} is a duplicate of one in the history"
    return "transaction_id {!r} is a duplicate of {}/{}".format(transaction_id, *place(earlier))


def _begun(
    arrived: Intake, folded: Folded, records: Sequence[Record], rates: Rates, declared: Declared
) -> tuple[Rows, Objects, np.ndarray]:
    """The rows that can be judged, the beginning of each one's score, and its `BASIS`."""
    transactions, rows, arrivals, refusals, extras = arrived
    empty, reader = np.zeros(0, basis_type(names(declared))), reader_of(declared)

    def work(some: Rows) -> tuple[Objects, np.ndarray]:
        here = slice(int(some[0]), int(some[-1]) + 1)
        mine, of_records = transactions[here], [records[row] for row in rows[here].tolist()]
        late, features, unknown = folded.late[here], folded.features[here], None
        worth = rates.rates_of([t.currency for t in mine])
        if worth is not None:
            keep_roundness(features, arrivals["amount"][here], np.array([t.amount for t in mine]))
            unknown = worth == UNKNOWN
        if not np.isfinite(features.sum()):  # any number that is not finite makes the sum so
            raise ValueError(
                f"a feature is not a finite number: {dict(zip(FEATURES, features[-1].tolist(), strict=True))}"
            )
        begun = heads(mine, of_records, late, folded.order_undefined[here], features, unknown)
        found = [] if reader is None else [extras[row] for row in rows[here].tolist()]
        if reader is not None:
            begun = [head + more for head, more in zip(begun, members(found), strict=True)]
        sizes = [len(head) + len(key or b"") for head, (*_, key) in zip(begun, of_records, strict=True)]
        basis = _basis(features, mine, arrivals[here], sizes, empty.dtype)
        if reader is not None:
            extras_in(basis)[:] = reader.array(found)
        return _objects(begun), basis

    failed = refusals.of_step("score head", rows.tolist(), folded=True)
    parts = in_halves(work, np.arange(len(rows)), _head_sound, failed)
    kept, begun, basis = joined(parts, (_objects([]), empty))
    return rows[kept], begun, basis


def _objects(items: list[bytes]) -> Objects:
    out = np.empty(len(items), object)
    out[:] = items
    return out


def _basis(
    features: np.ndarray,
    transactions: Sequence[Transaction],
    arrivals: np.ndarray,
    sizes: Sequence[int],
    kind: "np.dtype[np.void]" = BASIS,
) -> np.ndarray:
    rows = np.empty(len(transactions), kind)
    rows["features"], rows["bytes"] = features, sizes
    for name in ("merchant", "category", "time", "position"):
        rows[name] = arrivals[name]
    rows["customer"] = identify([t.customer_id for t in transactions])["high"] >> np.uint64(32)
    rows["segment"] = segment_ids_of([(t.channel, t.merchant_category) for t in transactions])
    return rows


def _fold_sound() -> Folded:
    """The fold of a transaction that is known to be good, by a state of its own."""
    identify([GOOD.customer_id])
    return fold(np.zeros(1, CUSTOMER), np.zeros(1, np.int64), events([GOOD], np.zeros(1, np.int64)))


def _head_sound() -> None:
    folded = _fold_sound()
    heads([GOOD], [(0, 0, 0, b"good")], folded.late, folded.order_undefined, folded.features)
    _basis(folded.features, [GOOD], events([GOOD], np.zeros(1, np.int64)), [0])


_NONE_FOLDED: Final = fold(np.zeros(0, CUSTOMER), np.zeros(0, np.int64), np.zeros(0, EVENT))
