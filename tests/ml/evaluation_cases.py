"""Small histories whose fraud is known by hand, written as anybody would write theirs."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ml.dataset.transactions import Transactions
from ml.evaluation.stretch import Stretch
from ml.features import DAY, HOUR
from ml.schema import TRANSACTION_ARROW

START = int(datetime(2026, 3, 2, tzinfo=UTC).timestamp() * 1000)  # a Monday
DAYS, CUSTOMERS, A_DAY = 40, 60, 200
ATTACK_HOUR = 3 * HOUR
LABEL_ARROW = pa.schema(
    [
        ("transaction_id", pa.string()),
        ("customer_id", pa.string()),
        ("is_fraud", pa.bool_()),
        ("label_time", pa.timestamp("ms", tz="UTC")),
        ("source", pa.string()),
        ("scenario", pa.string()),
        ("campaign", pa.string()),
    ]
)


def times(milliseconds: Sequence[int] | np.ndarray) -> pa.Array:
    """Milliseconds since the epoch as a column."""
    return pa.array(milliseconds, pa.int64()).cast(pa.timestamp("ms", tz="UTC"))


def rows(days: int = DAYS) -> list[dict[str, Any]]:
    """Transactions in time order; each day at three, one customer is robbed in three large payments a minute apart."""
    random = np.random.default_rng(3)
    made = [
        {"time": START + int(at), "customer": int(who), "amount": float(amount), "campaign": None}
        for at, who, amount in zip(
            random.integers(0, days * DAY, A_DAY * days),
            random.integers(0, CUSTOMERS, A_DAY * days),
            random.gamma(2, 20, A_DAY * days).round(2),
            strict=True,
        )
    ]
    for day in range(days):
        for number in range(3):
            at = START + day * DAY + ATTACK_HOUR + number * 60_000
            made.append({"time": at, "customer": day % CUSTOMERS, "amount": 900.0 + number, "campaign": f"theft-{day}"})
    made.sort(key=lambda row: row["time"])
    return [row | {"id": f"t{i}"} for i, row in enumerate(made)]


def write_transactions(folder: Path, made: Sequence[Mapping[str, Any]]) -> None:
    """transactions.parquet of some rows."""
    folder.mkdir(parents=True, exist_ok=True)
    n = len(made)
    columns: dict[str, Any] = {
        name: pa.nulls(n, TRANSACTION_ARROW.field(name).type) for name in TRANSACTION_ARROW.names
    }
    columns |= {
        "transaction_id": [row["id"] for row in made],
        "event_time": times([row["time"] for row in made]),
        "customer_id": [f"c{row['customer']}" for row in made],
        "amount": [row["amount"] for row in made],
    }
    pq.write_table(pa.table(columns, schema=TRANSACTION_ARROW), folder / "transactions.parquet")


def write_labels(file: Path, made: Sequence[Mapping[str, Any]], delay: int = 0) -> None:
    """Labels of the frauds among some rows, `delay` ms after each."""
    frauds = [row for row in made if row["campaign"]]
    columns = {
        "transaction_id": [row["id"] for row in frauds],
        "customer_id": [f"c{row['customer']}" for row in frauds],
        "is_fraud": [True] * len(frauds),
        "label_time": times([row["time"] + delay for row in frauds]),
        "source": ["test"] * len(frauds),
        "scenario": ["theft"] * len(frauds),
        "campaign": [row["campaign"] for row in frauds],
    }
    pq.write_table(pa.table(columns, schema=LABEL_ARROW), file)


def write_history(folder: Path, delay: int = 7 * DAY, days: int = DAYS) -> list[dict[str, Any]]:
    """A whole history with truth and late labels; returns its rows."""
    made = rows(days)
    write_transactions(folder, made)
    write_labels(folder / "truth.parquet", made)
    write_labels(folder / "labels.parquet", made, delay)
    return made


def stretch(days: int, a_day: int, seed: int = 0) -> Stretch:
    """Days of transactions without features, 2 % of them fraud."""
    random = np.random.default_rng(seed)
    rows = days * a_day
    time = np.sort(random.integers(0, days * DAY, rows))
    zeros = np.zeros(rows, np.uint64)
    found = Transactions(time, zeros, zeros, np.full(rows, ""), np.zeros(rows), np.zeros((rows, 0)))
    unique, day = np.unique(time // DAY, return_inverse=True)
    return Stretch(found, (), random.random(rows) < 0.02, day, unique)
