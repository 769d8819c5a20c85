"""The endless stream of transactions, honest and fraudulent, in the order of simulated time."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from generator.arrays import Array
from generator.campaigns import fraud_campaigns
from generator.drafts import HOUR_MS
from generator.labels import Reporting, label_table
from generator.population import Population
from generator.runs import Run
from generator.scenarios.scenario import LONGEST_HOURS, SHORT_HOURS
from generator.tables import transaction_table, truth_table
from generator.traffic import honest_traffic

STANDARD: Final = Run()
USUAL: Final = Reporting()


class Batch(NamedTuple):
    """One simulated hour: its transactions in TRANSACTION_ARROW, sorted by event_time; the truth about its fraud, and what
    the bank will learn of it, both in LABEL_ARROW and in the order of the transactions."""

    transactions: pa.Table
    truth: pa.Table
    labels: pa.Table


def transactions(
    population: Population, start: datetime, run: Run = STANDARD, reporting: Reporting = USUAL
) -> Iterator[Batch]:
    """All that happens from `start` on, hour by hour, without end.

    What happens at an instant depends on the population, the run and the reporting alone, not on `start`: streams that begin
    at different times agree wherever both have begun, byte for byte. So a live stream continues its history.

    Raises ValueError if `start` has no time zone.
    """
    if start.tzinfo is None:
        raise ValueError(f"start needs a time zone, but is {start.isoformat()}: write {start.isoformat()}Z for UTC")
    return _batches(population, start, run, reporting)


def _batches(population: Population, start: datetime, run: Run, reporting: Reporting) -> Iterator[Batch]:
    first = milliseconds(start)
    for hour, made in _hours(population, first // HOUR_MS, run):
        table = transaction_table(population, hour, made)
        batch = Batch(table, truth_table(made, table), label_table(population.seed, hour, reporting, made, table))
        before = int(np.searchsorted(made["time"], first))
        yield _after(batch, before) if before else batch


def _after(batch: Batch, row: int) -> Batch:
    """The part of a batch from a row of its transactions on."""
    later = batch.transactions.slice(row)
    ids = later["transaction_id"]
    return Batch(later, *(table.filter(pc.is_in(table["transaction_id"], ids)) for table in batch[1:]))


def _hours(population: Population, first: int, run: Run) -> Iterator[tuple[int, Array]]:
    """Each hour since the epoch from `first` on, with all DRAFTs whose time lies in it, sorted by time.

    Whatever reaches into the first hour began at most LONGEST_HOURS before: of these, only the last SHORT_HOURS are lived
    through with all their traffic, and from the others come the long campaigns alone.
    """
    traffic, campaigns = honest_traffic(population, run.drift), fraud_campaigns(population, run)
    hour = first - SHORT_HOURS
    long_ones = np.concatenate(
        [campaigns(earlier, None, first - earlier) for earlier in range(first - LONGEST_HOURS, hour)]
    )
    pending = long_ones[long_ones["time"] >= hour * HOUR_MS]
    while True:
        honest = traffic(hour)
        made = np.concatenate([pending, honest, campaigns(hour, honest, max(first - hour, 0))])
        made = made[np.argsort(made["time"], kind="stable")]
        later = int(np.searchsorted(made["time"], (hour + 1) * HOUR_MS))
        made, pending = made[:later], made[later:]
        if hour >= first:
            yield hour, made
        hour += 1


def milliseconds(time: datetime) -> int:
    """A time with a zone as milliseconds since the epoch."""
    return round((time - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() * 1000)
