"""The customers' folded past that a first start takes in: what training wrote, or an export of the running job's."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ml.features import CUSTOMER, FOLD_VERSION
from ml.features.customers import IDENTITY, Customers
from serving.errors import StateRefused

OFFSETS_KEY: Final = b"scoreline.offsets"
_ROWS: Final = 50_000


class StateOf(msgspec.Struct, frozen=True):
    """The place in the log that an exported state is as of; a training's state has none."""

    topic: str
    topic_id: str
    offsets: dict[int, int]


def load(path: Path, customers: Customers, topic: str, topic_id: str) -> dict[int, int] | None:
    """Read states into an empty table; returns the next offsets where the file names them. Raises `StateRefused`."""
    try:
        with pq.ParquetFile(path) as file:
            named = (file.schema_arrow.metadata or {}).get(OFFSETS_KEY)
            for states in _states(file, path):
                _take_in(states, customers)
    except (OSError, pa.ArrowException) as error:
        raise StateRefused(f"the state {path} can't be read: {error}") from error
    if named is None:
        return None
    of = msgspec.json.decode(named, type=StateOf)
    if of.topic != topic or (of.topic_id and topic_id and of.topic_id != topic_id):
        raise StateRefused(f"the state {path} is of the topic {of.topic} ({of.topic_id}), not of {topic} ({topic_id})")
    return of.offsets


def _states(file: pq.ParquetFile, path: Path) -> Iterator[np.ndarray]:
    names = file.schema_arrow.names
    if "state" not in names:
        raise StateRefused(f"the state {path} must have a column state, but it has {', '.join(names)}")
    columns = [name for name in ("state", "fold_version") if name in names]
    for batch in file.iter_batches(_ROWS, columns=columns):
        versions = set(batch["fold_version"].unique().to_pylist()) if "fold_version" in names else {1}
        if versions - {FOLD_VERSION}:
            raise StateRefused(
                f"the state {path} is of fold version {min(map(str, versions))}, and this release folds by {FOLD_VERSION}: "
                "fold the history again (scoreline train HISTORY --state-out FOLDER)"
            )
        packed: list[bytes] = [state or b"" for state in batch["state"].to_pylist()]
        if any(len(state) != CUSTOMER.itemsize for state in packed):
            raise StateRefused(f"the state {path} is damaged: some of its states have not {CUSTOMER.itemsize} bytes")
        yield np.frombuffer(b"".join(packed), CUSTOMER)


def _take_in(states: np.ndarray, customers: Customers) -> None:
    identities = np.empty(len(states), IDENTITY)
    identities["high"], identities["low"] = states["id_high"], states["id_low"]
    rows = customers.locate(identities)  # before the states are asked for, of which there are more then
    customers.states[rows] = states
