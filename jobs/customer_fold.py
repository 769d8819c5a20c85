"""The stateful operator: messages of one state partition → parsed, folded into the customers' state, with their features."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import pandas as pd
from pyspark import Accumulator, SparkFiles
from pyspark.sql.streaming import StatefulProcessor, StatefulProcessorHandle
from pyspark.sql.streaming.stateful_processor import MapState

from jobs.state_log import LocalCopy, StateLog
from ml.features import CUSTOMER, FEATURES, HISTORY, NO_POSITION, Folded, place, position
from ml.parse import Invalid, events, parse, too_early
from ml.schema import Transaction
from ml.state import identify

OUTPUT: Final = (
    "partition int, offset long, kafka_time long, key binary, value binary, reason string, too_large boolean, "
    "head binary, late boolean, " + ", ".join(f"{feature} double" for feature in FEATURES)
)
"""What the operator returns for each message.

A valid one: head, the beginning of its score's JSON, and its features. An invalid one: value and reason, or, where the
message was too large to come here, reason and too_large.
"""

_encode: Final = msgspec.json.Encoder().encode


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

    run: a name that no other run of the query has; the local copies of the state go by it.
    """

    def __init__(
        self,
        run: str,
        max_transaction_bytes: int,
        max_future_hours: float,
        too_large_seen: "Accumulator[int]",
    ) -> None:
        self._run = run
        self._max_transaction_bytes = max_transaction_bytes
        self._max_future_hours = max_future_hours
        self._too_large_seen = too_large_seen

    def init(self, handle: StatefulProcessorHandle) -> None:
        self._store = MapStateStore(handle.getMapState("customers", "segment int", "states binary"))

    def handleInitialState(self, key: Any, initialState: pd.DataFrame, timerValues: Any) -> None:
        self._log(key).seed(np.frombuffer(b"".join(initialState["state"]), CUSTOMER))

    def handleInputRows(self, key: Any, rows: Iterator[pd.DataFrame], timerValues: Any) -> Iterator[pd.DataFrame]:
        # The shuffle mixes the records and hands them over in pieces; the log's order is restored before the fold.
        messages = pd.concat(list(rows), ignore_index=True).sort_values(["partition", "offset"], ignore_index=True)
        too_large = (messages["size"] > self._max_transaction_bytes).to_numpy()
        self._too_large_seen.add(int(too_large.sum()))
        transactions, reasons = self._parsed(messages, too_large)
        valid = np.array([reason is None for reason in reasons])
        places = position(messages["partition"].to_numpy(np.int64), messages["offset"].to_numpy())
        accepted = [transaction for transaction in transactions if transaction is not None]
        identities = identify([transaction.customer_id for transaction in accepted])
        folded = self._log(key).fold(identities, events(accepted, places[valid]))
        for row, earlier in zip(np.flatnonzero(valid), folded.duplicate_of.tolist(), strict=True):
            if earlier != NO_POSITION:
                reasons[row] = _duplicate(transactions[row].transaction_id, earlier)  # type: ignore[union-attr]
        yield self._output(messages.assign(too_large=too_large), transactions, reasons, valid, folded)

    def close(self) -> None:
        pass

    def _log(self, key: Any) -> StateLog:
        # Under Spark's own folder for this application on this machine, which Spark deletes at its end.
        copies = Path(SparkFiles.getRootDirectory()) / "scoreline-state" / self._run
        return StateLog(self._store, LocalCopy(copies / str(key[0])))

    def _parsed(
        self, messages: pd.DataFrame, too_large: np.ndarray
    ) -> tuple[list[Transaction | None], list[str | None]]:
        transactions: list[Transaction | None] = []
        reasons: list[str | None] = []
        columns = messages["value"], messages["kafka_time"].tolist(), too_large.tolist()
        for value, kafka_time, large in zip(*columns, strict=True):
            transaction, reason = None, None
            try:
                if large:
                    raise Invalid("too large to be looked at")
                transaction = parse(value)
                reason = too_early(transaction, kafka_time, self._max_future_hours)
            except Invalid as error:
                reason = str(error)
            transactions.append(transaction if reason is None else None)
            reasons.append(reason)
        return transactions, reasons

    @staticmethod
    def _output(
        messages: pd.DataFrame,
        transactions: list[Transaction | None],
        reasons: list[str | None],
        valid: np.ndarray,
        folded: Folded,
    ) -> pd.DataFrame:
        features = np.zeros((len(messages), len(FEATURES)))
        features[valid] = folded.features
        late = np.zeros(len(messages), bool)
        late[valid] = folded.late
        out = messages[["partition", "offset", "kafka_time", "key", "value", "too_large"]].copy()
        out["reason"] = reasons
        out["late"] = late
        out["head"] = [
            None if reason is not None or transaction is None else _head(transaction, record, row)
            for transaction, reason, record, row in zip(
                transactions,
                reasons,
                zip(out["partition"], out["offset"], out["kafka_time"], late.tolist(), out["key"], strict=True),
                features.tolist(),
                strict=True,
            )
        ]
        out.loc[out["reason"].isna(), "value"] = None
        out[list(FEATURES)] = features
        return out


def _head(transaction: Transaction, record: tuple[int, int, int, bool, bytes | None], features: list[float]) -> bytes:
    """The beginning of a score's JSON, up to and with its features: what is known before the model is asked."""
    partition, offset, kafka_time, late, key = record
    mismatch = key is None or key != transaction.customer_id.encode()
    described = _encode(dict(zip(FEATURES, features, strict=True)))
    return b'%b,"partition":%d,"offset":%d,"kafka_time":%d,"late":%b,"key_mismatch":%b,"features":%b' % (
        _encode(transaction)[:-1],
        partition,
        offset,
        kafka_time,
        b"true" if late else b"false",
        b"true" if mismatch else b"false",
        described,
    )


def _duplicate(transaction_id: str, earlier: int) -> str:
    if earlier == HISTORY:
        return f"transaction_id {transaction_id!r} is a duplicate of one in the history"
    return "transaction_id {!r} is a duplicate of {}/{}".format(transaction_id, *place(earlier))
