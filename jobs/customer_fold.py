"""The stateful operator: messages of one state partition → parsed, folded into the customers' state, with their features."""

from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt
import pandas as pd
from pyspark.sql.streaming import StatefulProcessor, StatefulProcessorHandle
from pyspark.sql.streaming.stateful_processor import MapState

from detection.decision import not_judged
from detection.folding import Begun, Messages, begin
from detection.message_parsing import too_large
from detection.refusals import Problem
from detection.state_log import Fold, LocalCopy, StateLog
from jobs.dead_letters import SetAside
from jobs.failures import Failures
from jobs.runtime.local_copies import copies_of, drop_other_runs
from jobs.source.log_order import in_log_order
from jobs.source.micro_batch_size import Arrived
from jobs.source.routing import balanced_keys, keeps
from jobs.tasks import Tasks
from ml.features import CUSTOMER
from ml.features.currencies import AS_PAID, Rates

OUTPUT: Final = "key binary, value binary, basis binary, problem string"
"""What the operator returns for each message; columns are few because each costs time for each message.

A valid one: value, the beginning of its score's JSON, and basis, the bytes of a `BASIS`. An invalid one: its value as it
came, basis `not_judged`, and problem, a `Problem` in JSON. One that was too large to come here: nothing.
"""

_encode: Final = msgspec.json.Encoder().encode

HEADER_BYTES: Final = 512
"""What a dead letter's headers take besides the reason: names, numbers, the name of a topic (at most 249 bytes)."""


class Limits(NamedTuple):
    """What is taken in: bytes of a transaction's key and value, hours that its time may be ahead of Kafka's.

    dead_letter_bytes: of key, value and headers, that the topic of dead letters takes however badly they compress.
    rates: by which amounts of several currencies are compared.
    """

    transaction_bytes: int
    future_hours: float
    dead_letter_bytes: int
    state_partitions: int
    rates: Rates = AS_PAID


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

    run: a name that no other run of the query has; the local copies of the state are named by it.
    """

    def __init__(self, run: str, limits: Limits, tasks: Tasks) -> None:
        self._run = run
        self._limits = limits
        self._tasks = tasks

    def init(self, handle: StatefulProcessorHandle) -> None:
        self._store = MapStateStore(handle.getMapState("customers", "segment int", "states binary"))

    def handleInitialState(self, key: Any, initialState: pd.DataFrame, timerValues: Any) -> None:  # type: ignore[override]
        self._log(key).seed(np.frombuffer(b"".join(initialState["state"]), CUSTOMER))

    def handleInputRows(self, key: Any, rows: Iterator[pd.DataFrame], timerValues: Any) -> Iterator[pd.DataFrame]:  # type: ignore[override]
        number = balanced_keys(self._limits.state_partitions).index(key[0])
        pieces = (messages for piece in in_log_order(rows) if len(messages := self._own(self._small(piece), number)))
        first = next(pieces, None)
        if first is not None:
            with self._log(key).folding() as fold:
                for messages in chain([first], pieces):
                    yield self._worked(messages, fold)

    def close(self) -> None:
        pass

    def _small(self, messages: pd.DataFrame) -> pd.DataFrame:
        """Those that came with key and value; the others, too large to travel, are set aside."""
        sizes, limit = messages["size"].to_numpy(), self._limits.transaction_bytes
        self._tasks.arrived.add(Arrived(len(sizes), int(sizes.sum()), int(sizes.max())))
        large = sizes > limit
        if not large.any():
            return messages
        places = messages.loc[large, ["partition", "offset", "size"]].itertuples(index=False, name=None)
        self._tasks.set_aside.add(
            {(int(p), int(o)): SetAside(too_large(size, limit), size=int(size)) for p, o, size in places}
        )
        return messages[~large]

    def _own(self, messages: pd.DataFrame, number: int) -> pd.DataFrame:
        """Without those that were sent to all state partitions and that another one keeps. number: of this state partition."""
        everywhere = messages["everywhere"].to_numpy(bool)
        if not everywhere.any():
            return messages
        own = ~everywhere
        values, offsets = messages["value"].to_numpy(), messages["offset"].to_numpy()
        for row in np.flatnonzero(everywhere).tolist():
            own[row] = keeps(values[row], int(offsets[row]), number, self._limits.state_partitions)
        return messages[own]

    def _log(self, key: Any) -> StateLog:
        copies = copies_of(self._run)
        drop_other_runs(copies)
        return StateLog(self._store, LocalCopy(copies / str(key[0])))

    def _worked(self, messages: pd.DataFrame, fold: Fold) -> pd.DataFrame:
        """Messages, in log order → rows as `OUTPUT` says."""
        taken = taken_from(messages)
        begun = begin(taken, fold, self._limits.future_hours, self._limits.rates, self._tasks.declared)
        problems = begun.refusals.problems(taken.records) if begun.refusals.reasons else {}
        if begun.refusals.errors:
            ours = [problems[row] for row in sorted(begun.refusals.errors)]
            self._tasks.failures.add(Failures.from_reasons({(why.partition, why.offset): why.reason for why in ours}))
        self._count_refused_extras(taken, begun)
        rows = output(messages, begun, problems)
        return rows.drop(index=self._unwritable(rows, problems))

    def _count_refused_extras(self, messages: Messages, begun: Begun) -> None:
        if self._tasks.refused_extras is not None and begun.refused_extras:
            reasons = {
                (messages.partitions[row], messages.offsets[row]): "; ".join(
                    f"{name}: {why[name]}" for name in sorted(why)
                )
                for row, why in begun.refused_extras.items()
            }
            self._tasks.refused_extras.add(Failures.from_reasons(reasons))

    def _unwritable(self, rows: pd.DataFrame, problems: Mapping[int, Problem]) -> list[int]:
        """Which of the rows are dead letters too large to be written with the rest; they are set aside."""
        found = []
        keys, values = rows["key"].to_numpy(), rows["value"].to_numpy()
        for row, why in problems.items():
            size = len(keys[row] or b"") + len(values[row] or b"") + len(_encode(why))
            if size + HEADER_BYTES > self._limits.dead_letter_bytes:
                self._tasks.set_aside.add({(why.partition, why.offset): SetAside(why.reason, why.folded)})
                found.append(row)
        return found


def taken_from(messages: pd.DataFrame) -> Messages:
    """The messages of a table of partition, offset, kafka_time, key and value."""
    columns = (messages[name].tolist() for name in ("value", "key", "kafka_time", "partition", "offset"))
    return Messages(*columns)


def output(messages: pd.DataFrame, begun: Begun, problems: Mapping[int, Problem]) -> pd.DataFrame:
    """A row for each message, as `OUTPUT` says."""
    value = messages["value"].to_numpy().copy()
    basis, problem = np.empty(len(messages), object), np.full(len(messages), None, object)
    basis[:] = [not_judged(begun.basis.dtype)] * len(messages)  # np.full would cut zeros off its end
    value[begun.rows], basis[begun.rows] = begun.heads, _each(begun.basis)
    for row, why in problems.items():
        problem[row] = _encode(why).decode()
    return pd.DataFrame({"key": messages["key"].to_numpy(), "value": value, "basis": basis, "problem": problem})


def _each(basis: np.ndarray) -> "npt.NDArray[np.object_]":
    """(n,) bytes, of (n,) BASIS."""
    packed, size, out = basis.tobytes(), basis.dtype.itemsize, np.empty(len(basis), object)
    out[:] = [packed[start : start + size] for start in range(0, len(packed), size)]
    return out
