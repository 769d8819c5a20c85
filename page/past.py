"""A customer's payments before and around an alert: from the lake where there is one, and from the live feed."""

import time
from collections.abc import Sequence
from typing import Final, NamedTuple

import duckdb
from deltalake.exceptions import DeltaError

from lake.place import LakeUnusable, Place
from lake.views import connect
from ml.schema import SCORE_SCHEMA, TRANSACTION_FIELDS
from page.feed.recent import Recent
from page.payment import Payment
from page.search.lake_scores import stopped_at

MOST: Final = 400
"""Payments of one customer that are looked at, the newest."""

SECONDS: Final = 5.0
"""So long a case waits for the lake at most."""

_COLUMNS: Final = (
    *TRANSACTION_FIELDS,
    *("partition", "offset", "kafka_time", "anomaly_score", "threshold", "is_anomaly", "model_version"),
)
_QUERY: Final = (
    f"select {', '.join(chr(34) + name + chr(34) for name in _COLUMNS)} from scores where customer_id = ? "
    f"order by event_time desc limit {MOST}"
)


class Past(NamedTuple):
    """Payments in the order of their times, and where they are from, in words."""

    payments: Sequence[Payment]
    source: str


class Pasts:
    """Looks up customers' pasts. lake: the setting."""

    def __init__(self, lake: str | None, recent: Recent) -> None:
        self._place = None if lake is None else Place(lake)
        self._recent = recent

    def of_customer(self, customer_id: str) -> Past:
        """What is known of a customer's payments; that the lake can't be read is said, and raises nothing."""
        recent = self._recent.of_customer(customer_id)
        seen = f"the {self._recent.seen:,} payments that this page has seen since it started"
        if self._recent.left_out:
            seen += f" ({self._recent.left_out:,} more went by too fast)"
        if self._place is None:
            return Past(_in_order(recent), seen)
        try:
            kept = self._from_lake(self._place, customer_id)
        except duckdb.InterruptException:
            return Past(_in_order(recent), f"{seen}; the lake took longer than {SECONDS:g} s")
        except (duckdb.Error, DeltaError, LakeUnusable, OSError) as error:
            why = (str(error).splitlines() or [type(error).__name__])[0]
            return Past(_in_order(recent), f"{seen}; the lake can't be read ({why})")
        return Past(_in_order([*kept, *recent]), "the lake and the newest payments")

    def _from_lake(self, place: Place, customer_id: str) -> list[Payment]:
        with connect(place) as lake, stopped_at(lake, time.monotonic() + SECONDS):
            rows = lake.execute(_QUERY, [customer_id]).fetchall()
        return [Payment(schema_version=SCORE_SCHEMA, **dict(zip(_COLUMNS, row, strict=True))) for row in rows]


def _in_order(payments: Sequence[Payment]) -> list[Payment]:
    """Each once, by place in the log; the newest `MOST` of them."""
    once = {(one.partition, one.offset, one.transaction_id): one for one in payments}
    return sorted(once.values(), key=lambda one: one.event_time)[-MOST:]
