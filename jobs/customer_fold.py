"""The stateful operator: messages of one state partition → parsed, folded into the customers' state, with their features."""

from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from pyspark import SparkFiles
from pyspark.sql.streaming import StatefulProcessor, StatefulProcessorHandle
from pyspark.sql.streaming.stateful_processor import MapState

from jobs.dead_letters import SetAsides, too_large
from jobs.failures import FailureCount, Failures
from jobs.local_copies import drop_other_runs
from jobs.log_order import in_log_order
from jobs.piece import work
from jobs.routing import balanced_keys, keeps
from jobs.state_log import Fold, LocalCopy, StateLog
from ml.features import CUSTOMER

OUTPUT: Final = "key binary, value binary, judged_by binary, problem string"
"""What the operator returns for each message; columns are few because each costs time for each message.

A valid one: value, the beginning of its score's JSON, and judged_by, the bytes of a `JUDGED_BY`. An invalid one: its value
as it came, judged_by NOT_JUDGED, and problem, a `Problem` in JSON. One that was too large to come here: nothing.
"""


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
        state_partitions: int,
        set_aside: SetAsides,
        failures: FailureCount,
    ) -> None:
        self._run = run
        self._max_transaction_bytes = max_transaction_bytes
        self._max_future_hours = max_future_hours
        self._state_partitions = state_partitions
        self._set_aside = set_aside
        self._failures = failures

    def init(self, handle: StatefulProcessorHandle) -> None:
        self._store = MapStateStore(handle.getMapState("customers", "segment int", "states binary"))

    def handleInitialState(self, key: Any, initialState: pd.DataFrame, timerValues: Any) -> None:
        self._log(key).seed(np.frombuffer(b"".join(initialState["state"]), CUSTOMER))

    def handleInputRows(self, key: Any, rows: Iterator[pd.DataFrame], timerValues: Any) -> Iterator[pd.DataFrame]:
        number = balanced_keys(self._state_partitions).index(key[0])
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
        large = (messages["size"] > self._max_transaction_bytes).to_numpy()
        if not large.any():
            return messages
        places = messages.loc[large, ["partition", "offset", "size"]].itertuples(index=False, name=None)
        self._set_aside.add({(int(p), int(o)): too_large(size, self._max_transaction_bytes) for p, o, size in places})
        return messages[~large]

    def _own(self, messages: pd.DataFrame, number: int) -> pd.DataFrame:
        """Without those that all state partitions were sent and another one keeps. number: of this state partition."""
        everywhere = messages["everywhere"].to_numpy(bool)
        if not everywhere.any():
            return messages
        own = ~everywhere
        for row in np.flatnonzero(everywhere).tolist():
            value, offset = messages["value"].iat[row], int(messages["offset"].iat[row])
            own[row] = keeps(value, offset, number, self._state_partitions)
        return messages[own]

    def _log(self, key: Any) -> StateLog:
        # Under Spark's own folder for this application on this machine, which Spark deletes at its end.
        copies = Path(SparkFiles.getRootDirectory()) / "scoreline-state" / self._run
        drop_other_runs(copies)
        return StateLog(self._store, LocalCopy(copies / str(key[0])))

    def _worked(self, messages: pd.DataFrame, fold: Fold) -> pd.DataFrame:
        """Messages, in log order → rows as `OUTPUT` says."""
        rows, errors = work(messages, fold, self._max_future_hours)
        if errors:
            at = messages[["partition", "offset"]].to_numpy()
            self._failures.add(Failures.of({(int(at[row, 0]), int(at[row, 1])): why for row, why in errors.items()}))
        return rows
