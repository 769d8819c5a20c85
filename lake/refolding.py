"""Folds the lake's transactions again, and compares the features with those that were scored."""

from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lake.place import Place
from lake.views import connect
from ml.features import CUSTOMER, FEATURE_SET, FEATURES, FOLD_VERSION, fold, position
from ml.features.currencies import Rates, keep_roundness
from ml.features.customers import IDENTITY, Customers, identify
from ml.features.events import events_from_arrow
from ml.schema import TRANSACTION_FIELDS

PIECE: Final = 20_000
"""Transactions folded at a time; the outcome does not depend on it."""

_EXAMPLES: Final = 5


class Comparison(NamedTuple):
    """What came of it. different: of the transactions; examples: the first of these, each TOPIC ID/PARTITION/OFFSET.

    left_out: rows of other features, of another fold or of other currency rates than these, which can't be compared.
    """

    transactions: int
    different: int
    examples: list[str]
    left_out: int


class StatesUnusable(ValueError):
    """A file is not the customers' states as this release folds them."""


def refold(place: Place, rates: Rates, customers: Customers) -> Comparison:
    """Fold all transactions in the order in which detection did: by micro-batch, partition and offset.

    customers: what the first start began with, which the fold goes on from. A feature is the same where all its bits are.
    """
    count, different, examples = 0, 0, list[str]()
    with connect(place) as lake:
        comparable = (
            f"feature_set = '{FEATURE_SET}' and fold_version = {FOLD_VERSION} and currency_version = '{rates.version}'"
        )
        found = lake.sql(f"select count(*) from scores where ({comparable}) is not true").fetchall()
        rows = lake.execute(
            f'select topic_id, {", ".join(TRANSACTION_FIELDS)}, features, "partition", "offset" from scores '
            f'where {comparable} order by micro_batch, "partition", "offset"'
        )
        for batch in rows.to_arrow_reader(PIECE):
            piece = pa.Table.from_batches([batch])
            wrong = _wrong(piece, rates, customers)
            count, different = count + piece.num_rows, different + len(wrong)
            examples += [_place(piece, row) for row in wrong[: _EXAMPLES - len(examples)].tolist()]
    return Comparison(count, different, examples, int(found[0][0]))


def take_in(path: Path, customers: Customers) -> None:
    """Read the states that training wrote (a folder, --state-out) or the job exported. Raises `StatesUnusable`."""
    path = path / "customers.parquet" if path.is_dir() else path
    try:
        table = pq.read_table(path, columns=["state", "fold_version"])
    except (OSError, pa.ArrowException) as error:
        raise StatesUnusable(f"the states {path} can't be read: {error}") from error
    states: list[bytes] = [state or b"" for state in table["state"].to_pylist()]
    if {*table["fold_version"].unique().to_pylist()} - {FOLD_VERSION} or {*map(len, states)} - {CUSTOMER.itemsize}:
        raise StatesUnusable(f"the states {path} are of another release's fold than this one's ({FOLD_VERSION})")
    read = np.frombuffer(b"".join(states), CUSTOMER)
    identities = np.empty(len(read), IDENTITY)
    identities["high"], identities["low"] = read["id_high"], read["id_low"]
    rows = customers.locate(identities)  # before the states are asked for, of which there are more then
    customers.states[rows] = read


def _wrong(piece: pa.Table, rates: Rates, customers: Customers) -> npt.NDArray[np.int64]:
    """The rows of a piece whose features come out otherwise."""
    times = pc.floor_temporal(piece["event_time"], unit="millisecond").cast(pa.timestamp("ms", tz="UTC"))
    piece = piece.set_column(piece.schema.get_field_index("event_time"), "event_time", times)
    events = events_from_arrow(piece, rates)
    events["position"] = position(piece["partition"].to_numpy().astype(np.int64), piece["offset"].to_numpy())
    ids: list[str] = piece["customer_id"].to_pylist()  # type: ignore[assignment]  # customer_id is never null
    rows = customers.locate(identify(ids))
    folded = fold(customers.states, rows, events).features
    keep_roundness(folded, events["amount"], piece["amount"].to_numpy())
    scored = pc.list_flatten(piece["features"]).to_numpy()
    same = folded.view(np.uint64) == scored.reshape(-1, len(FEATURES)).view(np.uint64)
    return np.flatnonzero(~same.all(axis=1))


def _place(piece: pa.Table, row: int) -> str:
    return "/".join(str(piece[name][row].as_py()) for name in ("topic_id", "partition", "offset"))
