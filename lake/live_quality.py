"""Live quality from the lake: labels joined with scores, by model and by day of the transaction."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import duckdb
import msgspec
import numpy as np

from lake.place import Place
from lake.views import connect, newest_of
from ml.arrays import Flags, Floats, Ints
from ml.features import DAY, FEATURES, HOUR
from ml.features.events import milliseconds
from ml.label_rule import source_number, verdict_number
from ml.quality.estimates import Curves, Frauds, Quality, Traffic, quality
from ml.quality.known import Known, known_frauds
from ml.quality.reserve import in_reserve
from ml.schema import LABEL_SOURCES

_ANALYST: Final = LABEL_SOURCES.index("analyst")
_LOG_AMOUNT: Final = FEATURES.index("log_amount") + 1


class Row(msgspec.Struct, frozen=True):
    """The quality of one model, of one day of transactions (UTC, ISO 8601) or, where day is None, of all."""

    model_name: str
    model_version: int
    day: str | None
    quality: Quality


@dataclass(frozen=True, eq=False)
class Labelled:
    """The n transactions that have a label, and what is known of them; reserved: (n,) the reserve would have them reviewed."""

    model: list[tuple[str, int]]
    time: Ints
    amount: Floats
    is_alert: Flags
    reserved: Flags
    known: Known

    def frauds(self) -> Frauds:
        """Those that are known as fraud."""
        by_review = self.by_review & self.known.by_alone(_ANALYST)
        every = Frauds(self.time, self.known.since, self.amount, self.is_alert, by_review)
        return every.of(self.known.is_fraud)

    @property
    def by_review(self) -> Flags:
        """(n,) those that an analyst looked at, which were not alerted and are in the reserve."""
        looked_at: Flags = self.known.said[:, _ANALYST] & ~self.is_alert & self.reserved
        return looked_at


def live_quality(place: Place, review_share: float = 0.0, as_of: datetime | None = None) -> list[Row]:
    """Of each model all days together and each day, the newest first.

    as_of: what came later, scores and labels, is left out; by default the time of the newest transaction. Delays are those of
    all models together: they are the bank's.
    """
    with connect(place) as connection:
        now = as_of or newest_of(connection)
        if now is None:
            return []
        labelled = _labelled(connection, review_share, now)
        traffic = _traffic(connection, now)
    frauds = labelled.frauds()
    curves = Curves.from_frauds(frauds, milliseconds(now))
    return list(_rows(labelled, frauds, traffic, curves, review_share))


def _rows(
    labelled: Labelled,
    frauds: Frauds,
    traffic: dict[tuple[str, int], np.ndarray],
    curves: Curves,
    review_share: float,
) -> Iterator[Row]:
    model_of = np.array(list(_numbers(labelled.model, list(traffic))), np.int64)
    reviewed_day = np.where(labelled.by_review, labelled.time // DAY, -1)
    fraud_model = model_of[labelled.known.is_fraud]
    for number, (model, hours) in enumerate(traffic.items()):
        days = hours[0] * HOUR // DAY
        for day in (None, *np.unique(days)[::-1].tolist()):
            here = np.ones(len(days), np.bool_) if day is None else days == day
            of_day = fraud_model == number
            looked_at = labelled.by_review & (model_of == number)
            if day is not None:
                of_day, looked_at = of_day & (frauds.time // DAY == day), looked_at & (reviewed_day == day)
            seen = Traffic(hours[0, here] * HOUR + HOUR // 2, hours[1, here], hours[2, here], int(looked_at.sum()))
            name = None if day is None else (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=day)).date().isoformat()
            yield Row(*model, name, quality(frauds.of(of_day), seen, curves, review_share))


def _numbers(models: Sequence[tuple[str, int]], known: list[tuple[str, int]]) -> Iterator[int]:
    number = {model: place for place, model in enumerate(known)}
    return (number.get(model, -1) for model in models)


def _traffic(connection: duckdb.DuckDBPyConnection, now: datetime) -> dict[tuple[str, int], np.ndarray]:
    """Of each model, the newest first, (3, k): hours since the epoch, and of each how many transactions and how many alerts."""
    found = connection.execute(
        """
        select model_name, model_version, epoch_ms(event_time) // 3600000 as hour, count(*), count_if(is_anomaly)
        from scores where event_time <= ? group by all order by model_name, model_version desc, hour
        """,
        [now],
    ).fetchall()
    models = dict.fromkeys((name, version) for name, version, *_ in found)
    return {
        model: np.array([row[2:] for row in found if (row[0], row[1]) == model], np.int64).T.copy() for model in models
    }


def _labelled(connection: duckdb.DuckDBPyConnection, review_share: float, now: datetime) -> Labelled:
    """The transactions that have a label by now, each with what all of its labels say together."""
    rows = connection.execute(
        f"""
        select transaction_id, model_name, model_version, epoch_ms(event_time), features[{_LOG_AMOUNT}], is_anomaly
        from scores semi join label_log using (transaction_id)
        where event_time <= ? order by topic_id, "partition", "offset"
        """,
        [now],
    ).fetchall()
    row_of: dict[str, int] = {}
    for place, row in enumerate(rows):
        row_of.setdefault(
            row[0], place
        )  # of two of the same id the first: the other was a duplicate, or another customer's
    labels = connection.execute(
        """
        select transaction_id, source, is_fraud, epoch_ms(label_time) from label_log
        where label_time <= ? order by archived_at, "partition", "offset"
        """,
        [now],
    ).fetchall()
    labels = [label for label in labels if label[0] in row_of]
    known = known_frauds(
        len(rows),
        np.array([row_of[label[0]] for label in labels], np.int64),
        np.array([source_number(label[1]) for label in labels], np.uint8),
        np.array([verdict_number(label[2]) for label in labels], np.uint8),
        np.array([label[3] for label in labels], np.int64),
    )
    return Labelled(
        [(row[1], row[2]) for row in rows],
        np.array([row[3] for row in rows], np.int64),
        np.expm1(np.array([row[4] for row in rows], np.float64)),
        np.array([row[5] for row in rows], np.bool_),
        in_reserve([row[0] for row in rows], review_share),
        known,
    )
