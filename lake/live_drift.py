"""Drift in the lake: the scores of some days, counted and compared with a model's training and with the week before."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import unquote

import pyarrow as pa
from deltalake import DeltaTable

from lake.commits import rows_of
from lake.counting import count_rows
from lake.kept_counts import kept_counts
from lake.maintenance import tables
from lake.place import Place
from lake.rows import SCORE_ROW, SCORES
from lake.views import connect, newest_of
from ml.drift.bins import Bins
from ml.drift.counts import BLOCK, Counts, block_of, merged
from ml.drift.policy import DriftPolicy
from ml.features import DAY
from ml.model import Model

_BEFORE: Final = timedelta(days=7, minutes=30)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def newest(place: Place) -> datetime | None:
    """The time of the newest transaction; None where there is none. By the files' statistics most are not read."""
    table = tables(place).get(SCORES)
    if table is None:
        return None
    with connect(
        place, scores=rows_of(table, _newest_files(table, "event_time", timedelta(milliseconds=1)), SCORE_ROW)
    ) as lake:
        return newest_of(lake)


def counts(place: Place, model: Model, bins: Bins, since: datetime, until: datetime, recount: bool = False) -> Counts:
    """The counts of the scores of `since` ≤ event_time < `until` that a model gave, as `lake.counting.count_rows` has them.

    Whole blocks come from the counts that the lake keeps, which are brought up to date first; recount: from all rows again.
    """
    first, end = block_of(since), block_of(until)
    first += _time_of(first) < since
    if first >= end:
        return count_rows(place, model, bins, since, until)
    whole = kept_counts(place, model, bins, first, recount).between(first, end)
    edges = ((since, _time_of(first)), (_time_of(end), until))
    return merged([whole, *(count_rows(place, model, bins, *edge) for edge in edges if edge[0] < edge[1])])


def _time_of(block: int) -> datetime:
    return _EPOCH + timedelta(milliseconds=block * BLOCK)


def scored(place: Place) -> tuple[int, int, int]:
    """The newest score's Kafka time (ms, 0 where there is none), and how many scores there are of the day up to it, and of the
    week before that."""
    table = tables(place).get(SCORES)
    if table is None:
        return 0, 0, 0
    with connect(place, scores=rows_of(table, _newest_files(table, "kafka_time", 0), SCORE_ROW)) as lake:
        [(now,)] = lake.execute("select max(kafka_time) from scores").fetchall()
    if now is None:
        return 0, 0, 0
    with connect(place) as lake:
        [(day, week)] = lake.execute(
            """
            select count_if(kafka_time > $now - $day), count_if(kafka_time <= $now - $day) from scores
            where kafka_time > $now - 8 * $day
            """,
            {"now": now, "day": DAY},
        ).fetchall()
    return now, day, week


def _newest_files(table: DeltaTable, column: str, inexact: Any) -> list[str]:
    """The files that may have a column's largest value, by their statistics, which may be less than it by so much."""
    of_files = pa.table(table.get_add_actions(flatten=True)).to_pydict()
    paths = [unquote(path) for path in of_files["path"]]
    most = of_files.get(f"max.{column}", [None] * len(paths))
    known = [value for value in most if value is not None]
    return [path for path, value in zip(paths, most, strict=True) if value is None or value >= max(known) - inexact]


def needed_since(begin: datetime, policy: DriftPolicy) -> datetime:
    """From when on scores are needed, so that windows that end after `begin` can be compared with the week before."""
    return begin - _BEFORE - timedelta(minutes=max(scale.minutes for scale in policy.scales))
