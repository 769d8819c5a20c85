"""Drift in the lake: the scores of some days, counted and compared with a model's training and with the week before."""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lake.place import Place
from lake.views import connect, newest_of
from ml.arrays import Flags, Floats
from ml.drift.bins import Bins
from ml.drift.counts import ISSUES, OPTIONAL, Counts, Rows, merged
from ml.drift.policy import DriftPolicy
from ml.features import DAY, FEATURES
from ml.features.profile_schema import PROFILE_FEATURES
from ml.model import Model
from ml.segments import segment_names

_AT_ONCE: Final = 100_000
_BEFORE: Final = timedelta(days=7, minutes=30)
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
        return newest_of(connection)


def counts(place: Place, model: Model, bins: Bins, since: datetime, until: datetime) -> Counts:
    """The counts of the scores of `since` ≤ event_time < `until` that a model gave.

    What is unknown of an extra is what the model takes for it; another feature that a score lacks counts as no number.
    """
    found = [Counts.empty(bins)]
    with connect(place) as connection:
        reader = connection.execute(
            f"select {', '.join(_COLUMNS)} from scores where model_name = ? and model_version = ? "
            "and event_time >= ? and event_time < ?",
            [model.name, model.version, since, until],
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


def scored(place: Place) -> tuple[int, int, int]:
    """The newest score's Kafka time (ms, 0 where there is none), and how many scores there are of the day up to it, and of the
    week before that."""
    with connect(place) as connection:
        found = connection.execute(
            """
            with latest as (select max(kafka_time) as now from scores)
            select now, count_if(kafka_time > now - $day), count_if(kafka_time <= now - $day and kafka_time > now - 8 * $day)
            from scores, latest group by now
            """,
            {"day": DAY},
        ).fetchone()
    return (0, 0, 0) if found is None else found


def needed_since(begin: datetime, policy: DriftPolicy) -> datetime:
    """From when on scores are needed, so that windows that end after `begin` can be compared with the week before."""
    return begin - _BEFORE - timedelta(minutes=max(scale.minutes for scale in policy.scales))
