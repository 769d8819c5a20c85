"""The customers' folded past that a first start takes in: what training wrote, or an export of the running job's."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from detection.exported_state import OFFSETS_KEY, StateOf
from ml.features import CUSTOMER, FOLD_VERSION
from ml.features.customers import IDENTITY, Customers
from serving.errors import StateRefused
from serving.log import Log

_ROWS: Final = 10_000


def load(path: Path, customers: Customers, log: Log, currency_version: str) -> dict[int, int] | None:
    """Read states into an empty table; returns the next offsets where the file names them.

    Raises `StateRefused` where they are of another topic than the log, have another meaning, or were folded by other rates.
    """
    try:
        with pq.ParquetFile(path) as file:
            named = (file.schema_arrow.metadata or {}).get(OFFSETS_KEY)
            for states in _states(file, path, currency_version):
                _take_in(states, customers)
    except (OSError, pa.ArrowException) as error:
        raise StateRefused(f"the state {path} can't be read: {error}") from error
    if named is None:
        return None
    of = msgspec.json.decode(named, type=StateOf)
    if of.topic != log.topic or (of.topic_id and log.id and of.topic_id != log.id):
        raise StateRefused(
            f"the state {path} is of the topic {of.topic} ({of.topic_id}), not of {log.topic} ({log.id})"
        )
    return of.offsets


def _states(file: pq.ParquetFile, path: Path, currency_version: str) -> Iterator[np.ndarray]:
    names = file.schema_arrow.names
    if "state" not in names:
        raise StateRefused(f"the state {path} must have a column state, but it has {', '.join(names)}")
    columns = [name for name in ("state", "fold_version", "currency_version") if name in names]
    for batch in file.iter_batches(_ROWS, columns=columns):
        versions = set(batch["fold_version"].unique().to_pylist()) if "fold_version" in names else {1}
        if versions - {FOLD_VERSION}:
            raise StateRefused(
                f"the state {path} is of fold version {min(map(str, versions))}, and this release folds by {FOLD_VERSION}: "
                "fold the history again (scoreline train HISTORY --state-out FOLDER)"
            )
        rates = (
            set(batch["currency_version"].unique().to_pylist()) if "currency_version" in names else {currency_version}
        )
        if rates - {currency_version}:
            raise StateRefused(
                f"the state {path} was folded by the currency rates {min(map(str, rates))}, and this service folds by "
                f"{currency_version or 'none'}: give it and what made the state the same --currency-rates"
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
