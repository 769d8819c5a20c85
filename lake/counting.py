"""Counts the scores of a lake for drift: rows of the table → histograms by block of time."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from lake.place import Place
from lake.views import connect
from ml.arrays import Flags, Floats
from ml.drift.bins import Bins
from ml.drift.counts import ISSUES, OPTIONAL, Counts, Rows, merged
from ml.features import FEATURES
from ml.features.profile_schema import PROFILE_FEATURES
from ml.model import Model
from ml.segments import segment_names

_AT_ONCE: Final = 100_000
_COLUMNS: Final = (
    "event_time",
    *OPTIONAL,
    "late",
    "anomaly_score",
    "is_anomaly",
    "features",
    "profile_features",
    "extras",
)


def count_rows(
    place: Place,
    model: Model,
    bins: Bins,
    since: datetime,
    until: datetime | None = None,
    scores: ds.Dataset | None = None,
) -> Counts:
    """The counts of the scores of `since` ≤ event_time < `until` (None: all later ones) that a model gave, by reading each.

    scores: some rows of the table, which are read instead of all. What is unknown of an extra is what the model takes for it;
    another feature that a score lacks counts as no number.
    """
    found = [Counts.empty(bins)]
    before, end = ("", []) if until is None else (" and event_time < ?", [until])
    with connect(place, scores=scores) as connection:
        reader = connection.execute(
            f"select {', '.join(_COLUMNS)} from scores where model_name = ? and model_version = ? and event_time >= ?{before}",
            [model.name, model.version, since, *end],
        ).to_arrow_reader(_AT_ONCE)
        found += (_counted(pa.Table.from_batches([batch]), bins, model.extras) for batch in reader if batch.num_rows)
    return merged(found)


def _counted(table: pa.Table, bins: Bins, extras: Mapping[str, float]) -> Counts:
    rows = Rows(
        table["event_time"].cast(pa.timestamp("ms", "UTC")).cast(pa.int64()).to_numpy(),
        _features(table, bins, extras),
        table["anomaly_score"].to_numpy(),
        segment_names(table),
        table["is_anomaly"].to_numpy(),
    )
    return Counts.counted(bins, rows, _issues(table, bins))


def _features(table: pa.Table, bins: Bins, extras: Mapping[str, float]) -> Floats:
    """(n, F) in the order of the bins."""
    known = dict(_named(table)) | _extras(table, extras)
    nothing = np.full(table.num_rows, np.nan)
    return np.column_stack([known.get(name, nothing) for name in bins.names[:-1]])


def _extras(table: pa.Table, unknown: Mapping[str, float]) -> dict[str, Floats]:
    if not unknown:
        return {}
    found = [{} if text is None else msgspec.json.decode(text) for text in table["extras"].to_pylist()]
    values = {
        name: [instead if (value := of.get(name)) is None else value for of in found]
        for name, instead in unknown.items()
    }
    return {name: np.array(column, np.float64) for name, column in values.items()}


def _named(table: pa.Table) -> Iterator[tuple[str, Floats]]:
    for column, names in (("features", FEATURES), ("profile_features", PROFILE_FEATURES)):
        lists: Any = table[column].combine_chunks()
        whole = _as_long_as(lists, len(names))
        values = np.full((table.num_rows, len(names)), np.nan)
        values[whole] = lists.filter(pa.array(whole)).flatten().to_numpy(zero_copy_only=False).reshape(-1, len(names))
        yield from zip(names, values.T, strict=True)


def _as_long_as(lists: Any, length: int) -> Flags:
    """(n,) which lists have so many values."""
    lengths: Any = pc.list_value_length(lists)
    flags: Flags = lengths.fill_null(-1).to_numpy() == length
    return flags


def _issues(table: pa.Table, bins: Bins) -> Flags:
    """(n, len(ISSUES)) what each transaction lacks."""
    lacking = [table[name].is_null().to_numpy() for name in OPTIONAL]
    category: Any = table["merchant_category"]
    known = pc.is_in(category, pa.array(bins.categories, pa.string())).to_numpy()
    unknown = ~known & category.is_valid().to_numpy()
    issues: Flags = np.stack([*lacking, unknown, table["late"].to_numpy()], axis=1)
    assert issues.shape[1] == len(ISSUES)
    return issues
