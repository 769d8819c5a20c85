"""Which transactions of the lake the reserve would have analysts look at."""

from datetime import datetime
from typing import Final

from lake.place import Place
from lake.views import connect
from ml.quality.reserve import in_reserve

_COLUMNS: Final = ("transaction_id", "event_time", "customer_id", "amount", "currency", "merchant_id", "anomaly_score")


def to_review(place: Place, share: float, since: datetime, until: datetime) -> tuple[tuple[str, ...], list[list[str]]]:
    """The header and the rows of what was not alerted, is in the reserve of this share, and has no label of an analyst.

    Of `since` ≤ event_time < `until`, in the order of time.
    """
    with connect(place) as connection:
        rows = connection.execute(
            f"""
            select {", ".join(_COLUMNS)} from scores
            where not is_anomaly and event_time >= ? and event_time < ? and transaction_id not in (
                select transaction_id from labels where source = 'analyst' and is_fraud is not null
            )
            order by event_time
            """,
            [since, until],
        ).fetchall()
    reserved = in_reserve([row[0] for row in rows], share)
    chosen = [row for row, keep in zip(rows, reserved.tolist(), strict=True) if keep]
    return _COLUMNS, [["" if value is None else str(value) for value in row] for row in chosen]
