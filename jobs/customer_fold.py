"""The stateful operator: messages of one state partition → parsed, folded into the customers' state, with their features."""

from collections.abc import Iterator
from typing import Any, Final

import msgspec
import numpy as np
import pandas as pd
from pyspark import Accumulator
from pyspark.sql.streaming import StatefulProcessor, StatefulProcessorHandle

from ml.features import CUSTOMER, FEATURES, HISTORY, NO_POSITION, Folded, fold, place, position
from ml.parse import Invalid, events, parse, too_early
from ml.schema import Transaction
from ml.state import IDENTITY, group_of, identify, locate

OUTPUT: Final = (
    "partition int, offset long, kafka_time long, key binary, value binary, reason string, too_large boolean, "
    "head binary, late boolean, "
    + ", ".join(f"{feature} double" for feature in FEATURES)
)
"""What the operator returns for each message.

A valid one: head, the beginning of its score's JSON, and its features. An invalid one: value and reason, or, where the
message was too large to come here, reason and too_large.
"""

_encode: Final = msgspec.json.Encoder().encode


class CustomerFold(StatefulProcessor):
    """State: group of customers → their packed states. A call takes all of a micro-batch's messages for its key."""

    def __init__(
        self,
        customer_groups: int,
        max_transaction_bytes: int,
        max_future_hours: float,
        too_large_seen: "Accumulator[int]",
    ) -> None:
        self._customer_groups = customer_groups
        self._max_transaction_bytes = max_transaction_bytes
        self._max_future_hours = max_future_hours
        self._too_large_seen = too_large_seen

    def init(self, handle: StatefulProcessorHandle) -> None:
        self._groups = handle.getMapState("customers", "customer_group int", "states binary")

    def handleInitialState(self, key: Any, initialState: pd.DataFrame, timerValues: Any) -> None:
        states = np.frombuffer(b"".join(initialState["state"]), CUSTOMER)
        present = self._load(np.unique(self._group(states)))
        self._store(np.concatenate([present, states]))

    def handleInputRows(self, key: Any, rows: Iterator[pd.DataFrame], timerValues: Any) -> Iterator[pd.DataFrame]:
        # The shuffle mixes the records and hands them over in pieces; the log's order is restored before the fold.
        messages = pd.concat(list(rows), ignore_index=True).sort_values(["partition", "offset"], ignore_index=True)
        too_large = (messages["size"] > self._max_transaction_bytes).to_numpy()
        self._too_large_seen.add(int(too_large.sum()))
        transactions, reasons = self._parsed(messages, too_large)
        valid = np.array([reason is None for reason in reasons])
        places = position(messages["partition"].to_numpy(np.int64), messages["offset"].to_numpy())
        folded = self._fold([t for t in transactions if t is not None], places[valid])
        for row, earlier in zip(np.flatnonzero(valid), folded.duplicate_of.tolist(), strict=True):
            if earlier != NO_POSITION:
                reasons[row] = _duplicate(transactions[row].transaction_id, earlier)  # type: ignore[union-attr]
        yield self._output(messages.assign(too_large=too_large), transactions, reasons, valid, folded)

    def close(self) -> None:
        pass

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

    def _fold(self, transactions: list[Transaction], places: np.ndarray) -> Folded:
        identities = identify([t.customer_id for t in transactions])
        touched = np.unique(group_of(identities, self._customer_groups))
        states, rows = locate(self._load(touched), identities)
        folded = fold(states, rows, events(transactions, places))
        self._store(states)
        return folded

    def _group(self, states: np.ndarray) -> np.ndarray:
        identities = np.empty(len(states), IDENTITY)
        identities["high"], identities["low"] = states["id_high"], states["id_low"]
        return group_of(identities, self._customer_groups)

    def _load(self, groups: np.ndarray) -> np.ndarray:
        packed = [self._groups.getValue((group,)) for group in groups.tolist()]
        return np.frombuffer(b"".join([value[0] for value in packed if value is not None]), CUSTOMER)

    def _store(self, states: np.ndarray) -> None:
        groups = self._group(states)
        order = np.argsort(groups, kind="stable")
        touched, starts = np.unique(groups[order], return_index=True)
        for group, piece in zip(touched.tolist(), np.split(states[order], starts[1:]), strict=True):
            self._groups.updateValue((group,), (piece.tobytes(),))

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
