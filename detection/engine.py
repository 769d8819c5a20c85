"""The judgement in one process: messages are parsed, folded, scored, judged and written, or only judged (`peek`).

The Spark job takes the same steps in two phases, `detection.folding` where the states are and `detection.judging` where
the model is; here one follows the other, over states in memory. A single message takes well under a millisecond.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from detection.decision import Decision
from detection.folding import Messages, begin, fold_alone
from detection.judging import judge
from detection.message_parsing import too_large
from detection.refusals import Problem
from detection.state_log import Fold, folded_or_untouched
from ml.arrays import Ints
from ml.features import Folded
from ml.features.currencies import AS_PAID, Rates
from ml.features.customers import IDENTITY, Customers
from ml.features.declared import NOTHING, Declared


class Scored(NamedTuple):
    """A message's score: `ml.schema.Score` as JSON, and whether it is an alert."""

    value: bytes
    is_anomaly: bool


Outcome = Scored | Problem
"""What becomes of a message."""


class Limits(NamedTuple):
    """What a message may be: bytes of its key and value together, and hours that it may be ahead of its Kafka timestamp.

    rates: by which amounts of several currencies are compared; `ml.features.currencies.default_rates` is the built-in table.
    """

    transaction_bytes: int = 65_536
    future_hours: float = 24.0
    rates: Rates = AS_PAID


class Engine:
    """Judges messages by the states of their customers and the extras that are declared. One thread at a time may use it.

    touched: where it is a list, the rows of the states that were changed are added to it, for whoever keeps these.
    """

    def __init__(
        self,
        customers: Customers,
        limits: Limits = Limits(),  # noqa: B008  # it is frozen
        declared: Declared = NOTHING,
    ) -> None:
        self._customers = customers
        self._limits = limits
        self.touched: list[Ints] | None = None
        self._declared = declared

    def work(self, messages: Messages, decision: Decision, closing: bytes) -> list[Outcome]:
        """Messages, in log order → what becomes of each; they are in their customers' states afterwards.

        closing: what `detection.score_json.closing` makes. Raises where a step fails without a message's fault, as
        the model or the memory may: then the states may have changed.
        """

        return self._outcomes(messages, self._fold, decision, closing)

    def fold(self, messages: Messages) -> None:
        """Take messages, in log order, into their customers' states, without judging them. Raises as `work` does."""
        large = self._too_large(messages)
        small = _some(messages, [row for row in range(len(messages.values)) if row not in large]) if large else messages
        fold_alone(small, self._fold, self._limits.future_hours, self._limits.rates, self._declared)

    def peek(self, messages: Messages, decision: Decision, closing: bytes) -> list[Outcome]:
        """What would become of messages if they came next, in this order. No state changes."""
        return self._outcomes(messages, Glance(self._customers).fold, decision, closing)

    def _fold(self, identities: np.ndarray, events: np.ndarray) -> Folded:
        rows, folded = folded_or_untouched(self._customers, identities, events)
        if self.touched is not None:
            self.touched.append(rows)
        return folded

    def _outcomes(self, messages: Messages, fold: Fold, decision: Decision, closing: bytes) -> list[Outcome]:
        large = self._too_large(messages)
        if large:
            small = [row for row in range(len(messages.values)) if row not in large]
            others = iter(self._outcomes(_some(messages, small), fold, decision, closing))
            return [large.get(row) or next(others) for row in range(len(messages.values))]
        begun = begin(messages, fold, self._limits.future_hours, self._limits.rates, self._declared)
        judged = judge(begun.basis, [(0, decision)])
        for k, why in judged.errors.items():
            begun.refusals.note(int(begun.rows[k]), why, folded=True)
        found: dict[int, Outcome] = dict(begun.refusals.problems(messages.records))
        for row, head, part, anomaly in zip(
            begun.rows.tolist(), begun.heads, judged.json, judged.is_anomaly, strict=True
        ):
            if part is not None:
                found[row] = Scored(head + part + closing, anomaly)
        return [found[row] for row in range(len(messages.values))]

    def _too_large(self, messages: Messages) -> dict[int, Problem]:
        limit = self._limits.transaction_bytes
        sizes = [len(value or b"") + len(key or b"") for value, key in zip(messages.values, messages.keys, strict=True)]
        if max(sizes, default=0) <= limit:
            return {}
        records = messages.records
        return {
            row: Problem(too_large(size, limit), *records[row][:3]) for row, size in enumerate(sizes) if size > limit
        }


def _some(messages: Messages, rows: Sequence[int]) -> Messages:
    values, keys, kafka_times, partitions, offsets = messages
    return Messages(
        [values[row] for row in rows],
        [keys[row] for row in rows],
        [kafka_times[row] for row in rows],
        [partitions[row] for row in rows],
        [offsets[row] for row in rows],
    )


class Glance:
    """Folds events into copies of the states that they meet, so that nothing of it remains."""

    def __init__(self, customers: Customers) -> None:
        self._customers = customers
        self._copies = Customers(capacity=4)

    def fold(self, identities: np.ndarray, events: np.ndarray) -> Folded:
        """Fold events (n,) EVENT of the customers `identities` (n,) IDENTITY, after those of the calls before."""
        copies, known = self._copies, self._copies.count
        copies.locate(identities)
        new = np.empty(copies.count - known, IDENTITY)
        states = copies.states[known:]
        new["high"], new["low"] = states["id_high"], states["id_low"]
        rows = self._customers.find(new)
        there = rows >= 0
        states[there] = self._customers.states[rows[there]]
        return folded_or_untouched(copies, identities, events)[1]
