"""The events that the fold takes from transactions: of messages one by one, of a history table by table."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import xxhash

from ml.arrays import Hashes
from ml.features.currencies import AS_PAID, Rates, in_base
from ml.features.state_schema import EVENT, HISTORY
from ml.schema import CHANNELS, Transaction

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)


def milliseconds(time: datetime) -> int:
    """Whole milliseconds since the epoch, rounded down.

    >>> milliseconds(datetime(1970, 1, 1, 0, 0, 1, 999, tzinfo=UTC))
    1000
    """
    return (time - _EPOCH) // _MILLISECOND


def hash_id(text: str | None) -> int:
    """64-bit xxh3 of a text; 0 means unknown and nothing else."""
    return 0 if text is None else xxhash.xxh3_64_intdigest(text.encode()) or 1


_channel_numbers: Final[dict[str | None, int]] = {name: number for number, name in enumerate(CHANNELS, 1)}


def events(transactions: Sequence[Transaction], positions: npt.NDArray[np.int64], rates: Rates = AS_PAID) -> np.ndarray:
    """Events for the fold: (n,) EVENT, from n transactions and their positions in the log; amounts by the rates."""
    out = np.empty(len(transactions), EVENT)
    nan = float("nan")
    out["time"] = [milliseconds(t.event_time) for t in transactions]
    out["amount"] = [t.amount for t in transactions]
    if rates.base:
        out["amount"] = in_base(out["amount"], rates.rates_of([t.currency for t in transactions]))
    out["latitude"] = [nan if t.latitude is None else t.latitude for t in transactions]
    out["longitude"] = [nan if t.longitude is None else t.longitude for t in transactions]
    out["transaction"] = [hash_id(t.transaction_id) for t in transactions]
    out["merchant"] = _hashes_of_few([t.merchant_id for t in transactions])
    out["category"] = _hashes_of_few([t.merchant_category for t in transactions])
    out["country"] = _hashes_of_few([t.country for t in transactions])
    out["device"] = [hash_id(t.device_id) for t in transactions]
    out["channel"] = [_channel_numbers.get(t.channel, 0) for t in transactions]
    out["position"] = positions
    return out


def _hashes_of_few(texts: list[str | None]) -> list[int]:
    """The hash of each text, of which many are alike. Nothing is kept: texts may be long, and all of them different."""
    known = {text: hash_id(text) for text in set(texts)}
    return [known[text] for text in texts]


def events_from_arrow(table: pa.Table, rates: Rates = AS_PAID) -> np.ndarray:
    """Events for the fold from a history: (n,) EVENT, from a table in `ml.schema.TRANSACTION_ARROW`; amounts by the rates."""
    out = np.empty(table.num_rows, EVENT)
    out["time"] = table["event_time"].cast(pa.int64()).to_numpy()
    for name in ("amount", "latitude", "longitude"):
        out[name] = table[name].to_numpy()  # null becomes NaN
    out["amount"] = in_base(out["amount"], rates.rates_of_column(table["currency"]))
    for name, column in (
        ("transaction", "transaction_id"),
        ("merchant", "merchant_id"),
        ("category", "merchant_category"),
        ("country", "country"),
        ("device", "device_id"),
    ):
        out[name] = hashes(table[column])
    out["channel"] = pc.index_in(table["channel"], pa.array(CHANNELS)).fill_null(-1).to_numpy() + 1
    out["position"] = HISTORY
    return out


def hashes(ids: "pa.ChunkedArray[pa.StringScalar]") -> Hashes:
    """(n,) of ids (n,), each `hash_id`."""
    encoded = ids.combine_chunks().dictionary_encode(null_encoding="encode")
    of_each = np.array([hash_id(text) for text in encoded.dictionary.to_pylist()], np.uint64)
    return np.take(of_each, encoded.indices.to_numpy())
