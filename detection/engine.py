"""A piece of messages, from their bytes to the beginnings of their scores; a message that any step fails for costs itself."""

from collections.abc import Sequence
from typing import Final, NamedTuple

import msgspec
import numpy as np
import pandas as pd

from detection.halves import Rows, in_halves
from detection.intake import GOOD, Intake, joined, take_in, taken
from detection.refusals import Refusals
from detection.score_json import score_heads
from detection.state_log import Fold
from ml.features import CUSTOMER, EVENT, FEATURES, HISTORY, NO_POSITION, Folded, fold, place, position
from ml.features.customers import identify
from ml.features.events import events
from ml.schema import Transaction
from ml.segments import segment_ids_of

JUDGED_BY: Final = np.dtype(
    [("features", np.float64, len(FEATURES)), ("segment", np.uint64), ("bytes", np.int64), ("position", np.int64)]
)
"""What the judgement of a transaction rests on: its features, the number of the segment whose threshold applies, and its
position in the log, by which a replay knows who judged it before. Of what is not to be judged the position is NO_POSITION.
bytes: of its key and of the beginning of its score."""

NOT_JUDGED: Final = np.array([(0, 0, 0, NO_POSITION)], JUDGED_BY).tobytes()

FOLDED_AT_ONCE: Final = 500
"""Messages folded at a time. The states of so many customers fit into the processor's nearest cache, and then the copy that
is made of them first costs nothing, since it only brings near what the fold needs next."""

_encode: Final = msgspec.json.Encoder().encode

Record = tuple[int, int, int, bytes | None]
"""(partition, offset, kafka_time in ms, key) of a message."""


class Problem(msgspec.Struct, omit_defaults=True):
    """Why a message is a dead letter, and where it stands; kafka_time in ms; whether it is in its customer's state."""

    reason: str
    partition: int
    offset: int
    kafka_time: int
    folded: bool = False


class Worked(NamedTuple):
    """What became of a piece: rows as `jobs.customer_fold.OUTPUT` says, and the errors of our own steps by row."""

    rows: pd.DataFrame
    errors: dict[int, str]


def work(messages: pd.DataFrame, fold_some: Fold, max_future_hours: float) -> Worked:
    """Messages (partition, offset, kafka_time, key, value), in log order → a row each, in the same order.

    fold_some must leave the states as they were where it raises.
    """
    values, kafka_times = messages["value"].to_numpy(), messages["kafka_time"].to_numpy()
    places = position(messages["partition"].to_numpy(np.int64), messages["offset"].to_numpy())
    records: list[Record] = list(
        messages[["partition", "offset", "kafka_time", "key"]].itertuples(index=False, name=None)
    )
    arrived, folded = _folded(take_in(values, kafka_times, places, max_future_hours), fold_some)
    refusals = arrived.refusals
    rows, heads, judged_by = _begun(arrived, folded, records)
    out = {"key": messages["key"].to_numpy(), "value": values.copy()}
    out["judged_by"] = np.full(len(messages), NOT_JUDGED, object)
    out["problem"] = np.full(len(messages), None, object)
    out["value"][rows], out["judged_by"][rows] = heads, judged_by
    for row, reason in refusals.reasons.items():
        problem = Problem(reason, *records[row][:3], row in refusals.folded)
        out["problem"][row] = _encode(problem).decode()
    return Worked(pd.DataFrame(out), {row: refusals.reasons[row] for row in sorted(refusals.errors)})


def _folded(arrived: Intake, fold_some: Fold) -> tuple[Intake, Folded]:
    """Fold what arrived. Returns what has features, and these; what the fold fails for leaves no trace in the states."""
    transactions, rows, arrivals, refusals = arrived

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
    return Intake(taken(transactions, kept), rows[kept], arrivals[kept], refusals), folded


def _refuse_duplicates(transactions: Sequence[Transaction], rows: Rows, folded: Folded, refusals: Refusals) -> None:
    for k in np.flatnonzero(folded.duplicate_of != NO_POSITION).tolist():
        refusals.reasons[int(rows[k])] = _duplicate(transactions[k].transaction_id, int(folded.duplicate_of[k]))


def _duplicate(transaction_id: str, earlier: int) -> str:
    if earlier == HISTORY:
        return f"transaction_id {transaction_id!r} is a duplicate of one in the history"
    return "transaction_id {!r} is a duplicate of {}/{}".format(transaction_id, *place(earlier))


def _begun(arrived: Intake, folded: Folded, records: Sequence[Record]) -> "list[np.ndarray]":
    """The rows that can be judged, the beginning of each one's score, and its `JUDGED_BY`."""
    transactions, rows, arrivals, refusals = arrived

    def work(some: Rows) -> tuple[np.ndarray, np.ndarray]:
        here = slice(int(some[0]), int(some[-1]) + 1)
        mine, of_records = transactions[here], [records[row] for row in rows[here].tolist()]
        late, features = folded.late[here], folded.features[here]
        if not np.isfinite(features.sum()):  # any number that is not finite makes the sum so
            raise ValueError(
                f"a feature is not a finite number: {dict(zip(FEATURES, features[-1].tolist(), strict=True))}"
            )
        heads = score_heads(mine, of_records, late, folded.order_undefined[here], features)
        sizes = [len(head) + len(key or b"") for head, (*_, key) in zip(heads, of_records, strict=True)]
        return _objects(heads), _objects(_judged_by(features, mine, arrivals["position"][here], sizes))

    failed = refusals.of_step("score head", rows.tolist(), folded=True)
    parts = in_halves(work, np.arange(len(rows)), _head_sound, failed)
    kept, heads, judged_by = joined(parts, (_objects([]), _objects([])))
    return [rows[kept], heads, judged_by]


def _objects(items: list[bytes]) -> np.ndarray:
    out = np.empty(len(items), object)
    out[:] = items
    return out


def _judged_by(
    features: np.ndarray, transactions: Sequence[Transaction], places: np.ndarray, sizes: Sequence[int]
) -> list[bytes]:
    rows = np.empty(len(transactions), JUDGED_BY)
    rows["features"], rows["position"], rows["bytes"] = features, places, sizes
    rows["segment"] = segment_ids_of([(t.channel, t.merchant_category) for t in transactions])
    packed, size = rows.tobytes(), JUDGED_BY.itemsize
    return [packed[start : start + size] for start in range(0, len(packed), size)]


def _fold_sound() -> Folded:
    """The fold of a transaction that is known to be good, by a state of its own."""
    identify([GOOD.customer_id])
    return fold(np.zeros(1, CUSTOMER), np.zeros(1, np.int64), events([GOOD], np.zeros(1, np.int64)))


def _head_sound() -> None:
    folded = _fold_sound()
    score_heads([GOOD], [(0, 0, 0, b"good")], folded.late, folded.order_undefined, folded.features)
    _judged_by(folded.features, [GOOD], np.zeros(1, np.int64), [0])


_NONE_FOLDED: Final = fold(np.zeros(0, CUSTOMER), np.zeros(0, np.int64), np.zeros(0, EVENT))
