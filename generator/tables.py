"""Drafts as the records that leave the generator: Arrow tables in the schema of transactions and of labels."""

from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from generator.arrays import Array, hexadecimal
from generator.categories import CATEGORIES
from generator.drafts import WAVE
from generator.places import COUNTRIES
from generator.population import Population
from generator.randomness import scrambled
from generator.scenarios import SCENARIOS
from ml.schema import CHANNELS, TRANSACTION_ARROW, Label

_ARROW = {"is_fraud": pa.bool_(), "label_time": pa.timestamp("ms", tz="UTC")}
LABEL_ARROW: Final = pa.schema(
    [
        pa.field(name, _ARROW.get(name, pa.string()), nullable=name in ("scenario", "campaign"))
        for name in Label.__struct_fields__
    ]
)
"""The Arrow and Parquet form of `ml.schema.Label`."""

SOURCE: Final = "simulator"
_CHANNELS = pa.array(CHANNELS)
_CATEGORIES = pa.array([category.name for category in CATEGORIES])
_COUNTRIES = pa.array([country.code for country in COUNTRIES])
_CURRENCIES = pa.array([country.currency for country in COUNTRIES])
_SCENARIOS = pa.array([scenario.name for scenario in SCENARIOS])


def transaction_ids(seed: int, hour: int, n: int) -> pa.StringArray:
    """The ids (n,) of an hour's transactions in order of time: 16 hexadecimal digits, unique within a seed."""
    return hexadecimal(scrambled(np.uint64(hour << 32) + np.arange(n, dtype=np.uint64), seed + 1))


def transaction_table(population: Population, hour: int, made: Array) -> pa.Table:
    """An hour's DRAFTs (n,), all of them and sorted by time, as a table in TRANSACTION_ARROW."""
    home = population.customers.table["country"][made["customer"]]
    shops = population.merchants.table[made["merchant"]]
    nowhere = made["placeless"] | np.isnan(shops["latitude"])
    columns: dict[str, Any] = {
        "transaction_id": transaction_ids(population.seed, hour, len(made)),
        "event_time": pa.array(made["time"]).cast(pa.timestamp("ms", tz="UTC")),
        "customer_id": population.customer_ids(hour // 24).take(pa.array(made["customer"])),
        "amount": pa.array(made["amount"]),
        "currency": _CURRENCIES.take(pa.array(home)),
        "merchant_id": population.merchant_ids.take(pa.array(made["merchant"])),
        "merchant_category": _CATEGORIES.take(pa.array(shops["category"], mask=~shops["categorised"])),
        "country": _COUNTRIES.take(pa.array(population.places["country"][shops["place"]])),
        "latitude": pa.array(shops["latitude"], mask=nowhere),
        "longitude": pa.array(shops["longitude"], mask=nowhere),
        "channel": _CHANNELS.take(pa.array(made["channel"])),
        "device_id": pc.if_else(pa.array(made["device"] != 0), hexadecimal(made["device"]), None),
    }
    return pa.table(columns, schema=TRANSACTION_ARROW)


def truth_table(made: Array, transactions: pa.Table) -> pa.Table:
    """The truth about the fraudulent ones among DRAFTs (n,) and their table, in LABEL_ARROW; known at once to a simulator."""
    rows = np.flatnonzero(made["scenario"] >= 0)
    fraud = transactions.take(rows)
    names = _SCENARIOS.take(pa.array(made["scenario"][rows]))
    columns: dict[str, Any] = {
        "transaction_id": fraud["transaction_id"],
        "customer_id": fraud["customer_id"],
        "is_fraud": pa.repeat(True, len(rows)),
        "label_time": fraud["event_time"],
        "source": pa.repeat(SOURCE, len(rows)),
        "scenario": names,
        "campaign": _campaigns(names, made["campaign"][rows]),
    }
    return pa.table(columns, schema=LABEL_ARROW)


def _campaigns(scenarios: pa.StringArray, campaigns: Array) -> pa.StringArray:
    """The ids (n,) of campaigns: the scenario and a number, and first `wave-` where it is part of an attack's wave."""
    names = np.where(campaigns >= WAVE, "wave-", "") + scenarios.to_numpy(zero_copy_only=False).astype(str)
    return pa.array([f"{name}-{number}" for name, number in zip(names, campaigns % WAVE, strict=True)], pa.string())
