"""A training set from the lake: transactions, their features as they were scored, and what was known of them by a date."""

from datetime import datetime
from pathlib import Path

from lake.place import Place
from lake.views import connect


def write_training_set(place: Place, since: datetime, until: datetime, known_by: datetime | None, out: Path) -> int:
    """Write the transactions of `since` ≤ event_time < `until` to a Parquet file, in the order of the log; returns how many.

    Each has its label as it was known by `known_by`, null where none was; None: all that the lake knows.
    """
    with connect(place, known_by) as connection:
        connection.execute(
            "create table training_set as select * exclude (day) from training_data "
            'where event_time >= ? and event_time < ? order by topic_id, "partition", "offset"',
            [since, until],
        )
        (count,) = connection.execute("select count(*) from training_set").fetchall()[0]
        connection.table("training_set").write_parquet(str(out), compression="zstd")
    return int(count)
