"""The endless stream of transactions, honest and fraudulent, in the order of simulated time."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from generator.arrays import Array
from generator.campaigns import FRAUD_SHARE, fraud_campaigns
from generator.drafts import HOUR_MS, drafts
from generator.population import Population
from generator.scenarios.scenario import LONGEST_CAMPAIGN_HOURS
from generator.tables import transaction_table, truth_table
from generator.traffic import honest_traffic


class Batch(NamedTuple):
    """One simulated hour: its transactions in TRANSACTION_ARROW, sorted by event_time, and the truth about its fraud."""

    transactions: pa.Table
    truth: pa.Table


def transactions(population: Population, start: datetime, fraud_share: float = FRAUD_SHARE) -> Iterator[Batch]:
    """All that happens from `start` on, hour by hour, without end.

    What happens at an instant depends on the population and the share of fraud alone, not on `start`: streams that begin
    at different times agree wherever both have begun, byte for byte. So a live stream continues its history.

    Raises ValueError if `start` has no time zone, or if `fraud_share` is not in [0, 1).
    """
    if start.tzinfo is None:
        raise ValueError(f"start needs a time zone, but is {start.isoformat()}: write {start.isoformat()}Z for UTC")
    if not 0 <= fraud_share < 1:
        raise ValueError(f"fraud_share is a share of all transactions, at least 0 and below 1, but is {fraud_share}")
    return _batches(population, start, fraud_share)


def _batches(population: Population, start: datetime, fraud_share: float) -> Iterator[Batch]:
    first = milliseconds(start)
    for hour, made in _hours(population, first // HOUR_MS, fraud_share):
        table = transaction_table(population, hour, made)
        before = int(np.searchsorted(made["time"], first))
        yield Batch(table.slice(before), truth_table(made[before:], table.slice(before)))


def _hours(population: Population, first: int, fraud_share: float) -> Iterator[tuple[int, Array]]:
    """Each hour since the epoch from `first` on, with all DRAFTs whose time lies in it, sorted by time."""
    traffic, campaigns = honest_traffic(population), fraud_campaigns(population, fraud_share)
    pending = drafts(0)
    hour = first - LONGEST_CAMPAIGN_HOURS  # whatever reaches into the first hour began no earlier
    while True:
        honest = traffic(hour)
        made = np.concatenate([pending, honest, campaigns(hour, honest)])
        due = made["time"] < (hour + 1) * HOUR_MS
        made, pending = made[due], made[~due]
        if hour >= first:
            yield hour, made[np.argsort(made["time"], kind="stable")]
        hour += 1


def milliseconds(time: datetime) -> int:
    """A time with a zone as milliseconds since the epoch."""
    return round((time - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() * 1000)
