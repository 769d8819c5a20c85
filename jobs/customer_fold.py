"""The stateful operator: messages of one state partition → parsed, folded into the customers' state, with their features."""

from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np
import pandas as pd
from pyspark import SparkFiles
from pyspark.sql.streaming import StatefulProcessor, StatefulProcessorHandle
from pyspark.sql.streaming.stateful_processor import MapState

from jobs.dead_letters import SetAside, SetAsides, too_large
from jobs.intake import take_in
from jobs.local_copies import drop_other_runs
from jobs.log_order import in_log_order
from jobs.pace import Arrivals, Arrived
from jobs.score_head import score_heads
from jobs.state_log import Fold, LocalCopy, StateLog
from ml.features import CUSTOMER, FEATURES, HISTORY, NO_POSITION, place, position
from ml.schema import Transaction
from ml.segments import segment_ids_of
from ml.state import identify

OUTPUT: Final = "key binary, value binary, judged_by binary, problem string"
"""What the operator returns for each message; columns are few because each costs time for each message.

A valid one: value, the beginning of its score's JSON, and judged_by, the bytes of a `JUDGED_BY`. An invalid one: its value
as it came, judged_by all zero, and problem, a `Problem` in JSON. One that was too large to come here: nothing.
"""

JUDGED_BY: Final = np.dtype(
    [("features", np.float64, len(FEATURES)), ("segment", np.uint64), ("position", np.int64), ("bytes", np.int64)]
)
"""What the judgement of a transaction rests on: its features, the number of the segment whose threshold applies, and its
position in the log, by which a replay knows who judged it before. bytes: of its key and of the beginning of its score."""

HEADER_BYTES: Final = 512
"""What a dead letter's headers take besides the reason: names, numbers, the name of a topic (at most 249 bytes)."""

_encode: Final = msgspec.json.Encoder().encode


class Limits(NamedTuple):
    """What is taken in: bytes of a transaction's key and value, hours that its time may be ahead of Kafka's.

    dead_letter_bytes: of key, value and headers, that the topic of dead letters takes however badly they compress.
    """

    transaction_bytes: int
    future_hours: float
    dead_letter_bytes: int


class Problem(msgspec.Struct):
    """Why a message is a dead letter, and where it stands; kafka_time in ms."""

    reason: str
    partition: int
    offset: int
    kafka_time: int


class MapStateStore:
    """Spark's MapState as the state log's store."""

    def __init__(self, state: MapState) -> None:
        self._state = state

    def get(self, key: int) -> bytes | None:
        value = self._state.getValue((key,))
        return None if value is None else value[0]

    def put(self, key: int, value: bytes) -> None:
        self._state.updateValue((key,), (value,))

    def remove(self, key: int) -> None:
        self._state.removeKey((key,))


class CustomerFold(StatefulProcessor):
    """State: the customers' states, as a `StateLog`. A call takes all of a micro-batch's messages for its state partition.

    run: a name that no other run of the query has; the local copies of the state go by it. arrived: counts what came.
    """

    def __init__(self, run: str, limits: Limits, set_aside: SetAsides, arrived: Arrivals) -> None:
        self._run = run
        self._limits = limits
        self._set_aside = set_aside
        self._arrived = arrived

    def init(self, handle: StatefulProcessorHandle) -> None:
        self._store = MapStateStore(handle.getMapState("customers", "segment int", "states binary"))

    def handleInitialState(self, key: Any, initialState: pd.DataFrame, timerValues: Any) -> None:
        self._log(key).seed(np.frombuffer(b"".join(initialState["state"]), CUSTOMER))

    def handleInputRows(self, key: Any, rows: Iterator[pd.DataFrame], timerValues: Any) -> Iterator[pd.DataFrame]:
        pieces = (messages for piece in in_log_order(rows) if len(messages := self._small(piece)))
        first = next(pieces, None)
        if first is not None:
            with self._log(key).folding() as fold:
                for messages in chain([first], pieces):
                    yield self._folded(fold, messages)

    def close(self) -> None:
        pass

    def _small(self, messages: pd.DataFrame) -> pd.DataFrame:
        """Those that came with key and value; the others, too large to travel, are set aside."""
        sizes, limit = messages["size"].to_numpy(), self._limits.transaction_bytes
        self._arrived.add(Arrived(len(sizes), int(sizes.sum())))
        large = sizes > limit
        if not large.any():
            return messages
        places = messages.loc[large, ["partition", "offset", "size"]].itertuples(index=False, name=None)
        self._set_aside.add({(int(p), int(o)): too_large(size, limit) for p, o, size in places})
        return messages[~large]

    def _log(self, key: Any) -> StateLog:
        # Under Spark's own folder for this application on this machine, which Spark deletes at its end.
        copies = Path(SparkFiles.getRootDirectory()) / "scoreline-state" / self._run
        drop_other_runs(copies)
        return StateLog(self._store, LocalCopy(copies / str(key[0])))

    def _folded(self, fold: Fold, messages: pd.DataFrame) -> pd.DataFrame:
        """Messages, in log order → rows as `OUTPUT` says."""
        values, kafka_times = messages["value"].to_numpy(), messages["kafka_time"].to_numpy()
        places = position(messages["partition"].to_numpy(np.int64), messages["offset"].to_numpy())
        transactions, rows, events, problems = take_in(values, kafka_times, places, self._limits.future_hours)
        folded = fold(identify([transaction.customer_id for transaction in transactions]), events)
        for k in np.flatnonzero(folded.duplicate_of != NO_POSITION).tolist():
            problems[int(rows[k])] = _duplicate(transactions[k].transaction_id, int(folded.duplicate_of[k]))
        records = list(messages[["partition", "offset", "kafka_time", "key"]].itertuples(index=False, name=None))
        described = [records[row] for row in rows.tolist()]
        heads = score_heads(transactions, described, folded.late, folded.order_undefined, folded.features)
        out = {"key": messages["key"].to_numpy(), "value": values.copy()}
        out["judged_by"] = np.array([bytes(JUDGED_BY.itemsize)] * len(messages), object)
        out["problem"] = np.full(len(messages), None, object)
        out["value"][rows] = np.array(heads, object)
        out["judged_by"][rows] = np.array(
            _judged_by(folded.features, transactions, places[rows], _sizes(heads, out["key"][rows])), object
        )
        for row, reason in problems.items():
            out["value"][row] = values[row]
            out["problem"][row] = _encode(Problem(reason, *records[row][:3])).decode()
        return pd.DataFrame(out).drop(index=self._unwritable(problems, records, values))

    def _unwritable(
        self, problems: dict[int, str], records: Sequence[tuple[int, int, int, bytes | None]], values: np.ndarray
    ) -> list[int]:
        """The rows whose dead letters are too large to be written with the rest; they are set aside."""
        found = {}
        for row, reason in problems.items():
            size = len(records[row][3] or b"") + len(values[row] or b"") + len(reason.encode()) + HEADER_BYTES
            if size > self._limits.dead_letter_bytes:
                found[row] = SetAside(reason)
        if found:
            self._set_aside.add({records[row][:2]: why for row, why in found.items()})
        return list(found)


def _sizes(heads: Sequence[bytes], keys: np.ndarray) -> list[int]:
    return [len(head) + len(key or b"") for head, key in zip(heads, keys, strict=True)]


def _judged_by(
    features: np.ndarray, transactions: Sequence[Transaction], places: np.ndarray, sizes: Sequence[int]
) -> list[bytes]:
    rows = np.empty(len(transactions), JUDGED_BY)
    rows["features"], rows["position"], rows["bytes"] = features, places, sizes
    rows["segment"] = segment_ids_of([(t.channel, t.merchant_category) for t in transactions])
    packed, size = rows.tobytes(), JUDGED_BY.itemsize
    return [packed[start : start + size] for start in range(0, len(packed), size)]


def _duplicate(transaction_id: str, earlier: int) -> str:
    if earlier == HISTORY:
        return f"transaction_id {transaction_id!r} is a duplicate of one in the history"
    return "transaction_id {!r} is a duplicate of {}/{}".format(transaction_id, *place(earlier))
