"""A small bank that the generator's tests share, and a week of its life."""

import itertools
from datetime import UTC, datetime
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pytest

from generator.arrays import Array
from generator.drafts import HOUR_MS
from generator.population import Population, make_population
from generator.stream import Batch, milliseconds, transactions
from generator.traffic import honest_traffic

MONDAY = datetime(2026, 4, 20, tzinfo=UTC)


@pytest.fixture(scope="session")
def population() -> Population:
    return make_population(seed=7, customers=3_000)


@pytest.fixture(scope="session")
def honest_week(population: Population) -> Array:
    """The DRAFTs that begin in one week, without fraud."""
    traffic, first = honest_traffic(population), milliseconds(MONDAY) // HOUR_MS
    return np.concatenate([traffic(first + hour) for hour in range(7 * 24)])


class Weeks(NamedTuple):
    batches: list[Batch]
    transactions: pa.Table
    truth: pa.Table
    labels: pa.Table


@pytest.fixture(scope="session")
def weeks(population: Population) -> Weeks:
    """Three weeks of the stream, with fraud."""
    batches = list(itertools.islice(transactions(population, MONDAY), 21 * 24))
    return Weeks(batches, *(pa.concat_tables(tables) for tables in zip(*batches, strict=True)))
