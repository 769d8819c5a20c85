"""The stateful operator: messages of one state partition → parsed, folded into the customers' state, with their features."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from pyspark import SparkFiles
from pyspark.sql.streaming import StatefulProcessor, StatefulProcessorHandle
from pyspark.sql.streaming.stateful_processor import MapState

from jobs.dead_letters import SetAsides, too_large
from jobs.failures import FailureCount, Failures
from jobs.piece import work
from jobs.state_log import Fold, LocalCopy, StateLog
from ml.features import CUSTOMER

OUTPUT: Final = "key binary, value binary, judged_by binary, problem string"
"""What the operator returns for each message; columns are few because each costs time for each message.

A valid one: value, the beginning of its score's JSON, and judged_by, the bytes of a `JUDGED_BY`. An invalid one: its value
as it came, judged_by NOT_JUDGED, and problem, a `Problem` in JSON. One that was too large to come here: nothing.
"""

PIECE: Final = 10_000
"""Messages worked on at a time: as many as Spark puts into one Arrow batch, few enough for the processor's cache, and Spark
goes on with them meanwhile."""


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
        set_aside: SetAsides,
        failures: FailureCount,
    ) -> None:
        self._run = run
        self._max_transaction_bytes = max_transaction_bytes
        self._max_future_hours = max_future_hours
        self._set_aside = set_aside
        self._failures = failures

    def init(self, handle: StatefulProcessorHandle) -> None:
        self._store = MapStateStore(handle.getMapState("customers", "segment int", "states binary"))

    def handleInitialState(self, key: Any, initialState: pd.DataFrame, timerValues: Any) -> None:
        self._log(key).seed(np.frombuffer(b"".join(initialState["state"]), CUSTOMER))

    def handleInputRows(self, key: Any, rows: Iterator[pd.DataFrame], timerValues: Any) -> Iterator[pd.DataFrame]:
        # The shuffle mixes the records and hands them over in pieces; the log's order is restored before the fold.
        messages = pd.concat(list(rows), ignore_index=True).sort_values(["partition", "offset"], ignore_index=True)
        large = (messages["size"] > self._max_transaction_bytes).to_numpy()
        if large.any():
            places = messages.loc[large, ["partition", "offset", "size"]].itertuples(index=False, name=None)
            self._set_aside.add(
                {(int(p), int(o)): too_large(size, self._max_transaction_bytes) for p, o, size in places}
            )
            messages = messages[~large]
        if len(messages):
            with self._log(key).folding() as fold:
                for start in range(0, len(messages), PIECE):
                    yield self._worked(messages.iloc[start : start + PIECE], fold)

    def close(self) -> None:
        pass

    def _log(self, key: Any) -> StateLog:
        # Under Spark's own folder for this application on this machine, which Spark deletes at its end.
        copies = Path(SparkFiles.getRootDirectory()) / "scoreline-state" / self._run
        return StateLog(self._store, LocalCopy(copies / str(key[0])))

    def _worked(self, messages: pd.DataFrame, fold: Fold) -> pd.DataFrame:
        """Messages, in log order → rows as `OUTPUT` says."""
        rows, errors = work(messages, fold, self._max_future_hours)
        if errors:
            at = messages[["partition", "offset"]].to_numpy()
            self._failures.add(Failures.of({(int(at[row, 0]), int(at[row, 1])): why for row, why in errors.items()}))
        return rows
