"""Some weeks of traffic with their features, as rules and models see them."""

import itertools
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from generator.arrays import Array
from generator.population import make_population
from generator.runs import Run
from generator.scenarios import SCENARIOS
from generator.scenarios.chargebacks import chargebacks
from generator.stream import Batch, transactions
from ml.features import FEATURES
from ml.features.customers import CustomerTable
from ml.features.events import events_from_arrow

START = datetime(2026, 3, 2, tzinfo=UTC)
RAW = ("channel", "merchant_category", "device_id")
DAY_MS = 86_400_000


@dataclass(frozen=True)
class Dataset:
    """Transactions after a warm-up. table: all columns; features: (n, features); scenario: (n,) its number, -1 if honest.

    chargebacks: (n,) by column of rules, what complaints had said of the merchant and of the category.
    """

    table: pa.Table
    features: Array
    scenario: Array
    chargebacks: dict[str, Array]

    @cached_property
    def columns(self) -> dict[str, Array]:
        """What a rule looks at."""
        texts = {name: _text(self.table[name]) for name in RAW}
        by_name = dict(zip(FEATURES, self.features.T, strict=True))
        return by_name | texts | self.chargebacks | {"amount": self.table["amount"].to_numpy()}

    def recall(self, number: int, budget: float = 0.005) -> float:
        """The share of a scenario's frauds among the `budget` of all transactions that its rule finds most suspicious."""
        scores = SCENARIOS[number].rule(self.columns)
        alerts = np.argsort(-scores, kind="stable")[: round(budget * len(scores))]
        alerts = alerts[scores[alerts] > 0]
        return float((self.scenario[alerts] == number).sum() / (self.scenario == number).sum())


def make_dataset(seed: int, customers: int, days: int, warm_up: int, run: Run | None = None) -> Dataset:
    """Traffic of so many days, of which the first ones only warm the features up."""
    batches = list(itertools.islice(transactions(make_population(seed, customers), START, run or Run()), days * 24))
    table = pa.concat_tables([batch.transactions for batch in batches])
    truth = pa.concat_tables([batch.truth for batch in batches])
    features = CustomerTable().fold(table["customer_id"], events_from_arrow(table)).features
    rows = pc.index_in(table["transaction_id"], value_set=truth["transaction_id"].combine_chunks())
    names = [scenario.name for scenario in SCENARIOS]
    numbers = np.array([names.index(name) for name in truth["scenario"].to_pylist()] + [-1])
    scenario = numbers[rows.fill_null(-1).to_numpy()]
    warm = sum(len(batch.transactions) for batch in batches[: warm_up * 24])
    known = {name: of_key[warm:] for name, of_key in _chargebacks(table, batches).items()}
    return Dataset(table.slice(warm), features[warm:], scenario[warm:], known)


def _chargebacks(table: pa.Table, batches: list[Batch]) -> dict[str, Array]:
    labels = pa.concat_tables([batch.labels for batch in batches])
    labels = labels.filter(labels["is_fraud"])
    rows = pc.index_in(labels["transaction_id"], value_set=table["transaction_id"].combine_chunks()).to_numpy()
    known = np.full(len(table), -1)
    known[rows] = labels["label_time"].cast(pa.int64()).to_numpy() // DAY_MS
    day = table["event_time"].cast(pa.int64()).to_numpy() // DAY_MS
    return {
        f"{name}_chargebacks": chargebacks(np.unique(_text(table[column]), return_inverse=True)[1], day, known)
        for name, column in (("merchant", "merchant_id"), ("category", "merchant_category"))
    }


def _text(column: pa.ChunkedArray) -> Array:
    texts: Array = column.fill_null("").combine_chunks().to_numpy(zero_copy_only=False)
    return texts
