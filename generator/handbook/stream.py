"""The Fraud Detection Handbook's world as a stream of hours, in the form of every other stream."""

from collections.abc import Iterator
from datetime import datetime
from itertools import count, pairwise
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from generator.arrays import Array
from generator.drafts import HONEST, HOUR_MS
from generator.handbook.traffic import SCENARIOS, campaign_names, payments
from generator.handbook.world import HandbookWorld
from generator.labels import Reporting, label_table
from generator.stream import Batch, milliseconds
from generator.tables import LABEL_ARROW, SOURCE, transaction_ids
from ml.schema import TRANSACTION_ARROW

_DAY_HOURS: Final = 24
_NAMES: Final = pa.array(SCENARIOS)


def handbook_transactions(world: HandbookWorld, start: datetime, reporting: Reporting) -> Iterator[Batch]:
    """All that happens from `start` on, hour by hour, without end. What happens at an instant does not depend on `start`.

    Raises ValueError if `start` has no time zone, or is before the simulation's first day.
    """
    if start.tzinfo is None or start < world.handbook.first:
        raise ValueError(
            f"start needs a time zone and is not before {world.handbook.first}, but is {start.isoformat()}"
        )
    return _hours(world, milliseconds(start), reporting)


def _hours(world: HandbookWorld, start: int, reporting: Reporting) -> Iterator[Batch]:
    for day in count(start // (_DAY_HOURS * HOUR_MS)):
        made = payments(world, day)
        table = _transactions(world, day, made)
        frauds = np.flatnonzero(made["scenario"] != HONEST)
        labels = label_table(world.seed, day * _DAY_HOURS, reporting, made, table)
        labelled = pc.index_in(labels["transaction_id"], value_set=table["transaction_id"].combine_chunks()).to_numpy()
        truth = _truth(made[frauds], table.take(frauds))
        edges = (day * _DAY_HOURS + np.arange(_DAY_HOURS + 1)) * HOUR_MS
        edges = np.append(start, edges[edges > start]) if edges[0] < start else edges
        rows = np.searchsorted(made["time"], edges)
        for begin, end in pairwise(rows.tolist()):
            yield Batch(
                table.slice(begin, end - begin),
                _between(truth, frauds, begin, end),
                _between(labels, labelled, begin, end),
            )


def _between(table: pa.Table, rows: Array, begin: int, end: int) -> pa.Table:
    """The part of a table about transactions in these rows (m,), ascending, that is about those from `begin` up to `end`."""
    first, last = np.searchsorted(rows, (begin, end)).tolist()
    return table.slice(first, last - first)


def _transactions(world: HandbookWorld, day: int, made: Array) -> pa.Table:
    """A day's PAYMENTs (n,) in TRANSACTION_ARROW. What the book does not have is null."""
    known: dict[str, Any] = {
        "transaction_id": transaction_ids(world.seed, day * _DAY_HOURS, len(made)),
        "event_time": pa.array(made["time"]).cast(TRANSACTION_ARROW.field("event_time").type),
        "customer_id": world.customer_ids.take(pa.array(made["customer"])),
        "amount": pa.array(made["amount"]),
        "merchant_id": world.merchant_ids.take(pa.array(made["terminal"])),
        "latitude": pa.array(world.latitude[made["terminal"]]),
        "longitude": pa.array(world.longitude[made["terminal"]]),
    }
    columns = [known.get(field.name, pa.nulls(len(made), field.type)) for field in TRANSACTION_ARROW]
    return pa.table(columns, schema=TRANSACTION_ARROW)


def _truth(frauds: Array, transactions: pa.Table) -> pa.Table:
    """The truth about frauds (m,) and their table, in LABEL_ARROW."""
    columns: dict[str, Any] = {
        "transaction_id": transactions["transaction_id"],
        "customer_id": transactions["customer_id"],
        "is_fraud": pa.repeat(True, len(frauds)),
        "label_time": transactions["event_time"],
        "source": pa.repeat(SOURCE, len(frauds)),
        "scenario": _NAMES.take(pa.array(frauds["scenario"])),
        "campaign": pa.array(campaign_names(frauds), pa.string()),
    }
    return pa.table(columns, schema=LABEL_ARROW)
