"""Drift in the lake: the scores of some days, counted and compared with a model's training and with the week before."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lake.place import Place
from lake.views import connect
from ml.arrays import Flags, Floats
from ml.drift.bins import Bins
from ml.drift.counts import BLOCK, ISSUES, OPTIONAL, Counts, Rows, merged
from ml.features import FEATURES
from ml.features.events import milliseconds
from ml.features.profile_schema import PROFILE_FEATURES
from ml.segments import segment_names

_AT_ONCE: Final = 100_000
WEEK: Final = timedelta(days=7)
_LONGEST: Final = timedelta(days=8)
"""More than any window is long."""

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


def newest(place: Place) -> datetime | None:
    """The time of the newest transaction; None where there is none."""
    with connect(place) as connection:
        found = connection.execute("select max(event_time) from scores").fetchone()
    return None if found is None else found[0]


def counts(place: Place, model: tuple[str, int], bins: Bins, since: datetime, until: datetime) -> Counts:
    """The counts of the scores of one model, a name and version, up to `until`, and from so long before `since` as its windows
    are compared with.

    A feature that a score lacks counts as no number.
    """
    found = [Counts.empty(bins)]
    with connect(place) as connection:
        reader = connection.execute(
            f"select {', '.join(_COLUMNS)} from scores where model_name = ? and model_version = ? "
            "and event_time >= ? and event_time < ?",
            [*model, since - WEEK - _LONGEST, until],
        ).to_arrow_reader(_AT_ONCE)
        found += (_counted(pa.Table.from_batches([batch]), bins) for batch in reader if batch.num_rows)
    return merged(found)


def _counted(table: pa.Table, bins: Bins) -> Counts:
    rows = Rows(
        table["event_time"].cast(pa.timestamp("ms", "UTC")).cast(pa.int64()).to_numpy(),
        _features(table, bins),
        table["anomaly_score"].to_numpy(),
        segment_names(table),
        table["is_anomaly"].to_numpy(),
    )
    return Counts.counted(bins, rows, _issues(table, bins))


def _features(table: pa.Table, bins: Bins) -> Floats:
    """(n, F) in the order of the bins."""
    known = dict(_named(table))
    nothing = np.full(table.num_rows, np.nan)
    return np.column_stack([known.get(name, nothing) for name in bins.names[:-1]])


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


def block_of(time: datetime) -> int:
    """The block that a time is in."""
    return milliseconds(time) // BLOCK
