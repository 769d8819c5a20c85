"""The customers and terminals of the Fraud Detection Handbook's simulation, on their map.

Source of all rules and numbers: Y.-A. Le Borgne, W. Siblini, B. Lebichot, G. Bontempi, "Reproducible Machine Learning for
Credit Card Fraud Detection – Practical Handbook", Université Libre de Bruxelles, 2022, chapter 3, "Transaction data
simulator". It is written from that text, not from the book's program; so the same rules, and other random numbers.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cached_property
from typing import Final, Self

import msgspec
import numpy as np
import pyarrow as pa

from generator.arrays import Array
from generator.randomness import Purpose, generator

FIRST_DAY: Final = date(2018, 4, 1)
DAYS: Final = 183
_KM_A_DEGREE: Final = 111.195
_AT_ONCE: Final = 500  # customers whose distances to all terminals are in memory together


class Handbook(msgspec.Struct, frozen=True):
    """The simulation's parameters; the defaults are the book's. All days are in UTC.

    first_day: of the simulation; fraud begins then. side, radius: of the map, and how far customers go, in the map's units.
    mean_amounts: between which a customer's mean amount lies, uniformly; deviation: of amounts, as a share of that mean.
    most_a_day: a customer's mean number of transactions a day is uniform up to this. time_deviation: of the time of day
    around noon, in seconds. large_amount: what is above is fraud (scenario 1). terminals_a_day, terminal_days: how many
    terminals are taken over each day, and for how long all their transactions are fraud (scenario 2). cards_a_day,
    card_days, card_share, card_times: how many customers' card details leak each day, for how long, what share of their
    transactions is then fraud, and what its amount is multiplied by (scenario 3). south, west, km_a_unit: where on Earth
    the map lies, in degrees, and how large a unit is; the book's map lies nowhere.

    Raises ValueError where a number is impossible.
    """

    first_day: date = FIRST_DAY
    customers: int = 5_000
    terminals: int = 10_000
    side: float = 100.0
    radius: float = 5.0
    mean_amounts: tuple[float, float] = (5.0, 100.0)
    deviation: float = 0.5
    most_a_day: float = 4.0
    time_deviation: float = 20_000.0
    large_amount: float = 220.0
    terminals_a_day: int = 2
    terminal_days: int = 28
    cards_a_day: int = 3
    card_days: int = 14
    card_share: float = 1 / 3
    card_times: float = 5.0
    south: float = 50.4
    west: float = 3.6
    km_a_unit: float = 1.0

    def __post_init__(self) -> None:
        for name, least in (("customers", self.cards_a_day), ("terminals", self.terminals_a_day)):
            if getattr(self, name) < max(1, least):
                raise ValueError(f"{name} has to be at least {max(1, least)}, but is {getattr(self, name)}")
        for name in ("side", "radius", "most_a_day", "time_deviation", "km_a_unit"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} has to be above 0, but is {getattr(self, name)}")
        if not 0 < self.mean_amounts[0] <= self.mean_amounts[1]:
            raise ValueError(f"mean_amounts are above 0, the lower one first, but are {self.mean_amounts}")
        if not 0 <= self.card_share <= 1:
            raise ValueError(f"card_share is a share, from 0 to 1, but is {self.card_share}")
        for name in ("deviation", "terminals_a_day", "terminal_days", "cards_a_day", "card_days", "card_times"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} has to be at least 0, but is {getattr(self, name)}")

    @property
    def first(self) -> datetime:
        """When the simulation begins."""
        return datetime(self.first_day.year, self.first_day.month, self.first_day.day, tzinfo=UTC)


@dataclass(frozen=True, eq=False)
class HandbookWorld:
    """Customers (c,) by their habits, and terminals (t,) by place, made once a seed.

    mean_amount, a_day: (c,) of each customer. reach: the terminals that customers go to, customer after customer;
    begin: (c + 1,) where each one's begin. latitude, longitude: (t,) of the terminals, in degrees.
    """

    seed: int
    handbook: Handbook
    mean_amount: Array
    a_day: Array
    reach: Array
    begin: Array
    latitude: Array
    longitude: Array

    @classmethod
    def make(cls, seed: int, handbook: Handbook) -> Self:
        """The world of one seed, the same in every process."""
        rng = generator(seed, Purpose.HANDBOOK_WORLD)
        homes = rng.uniform(0, handbook.side, (handbook.customers, 2))
        mean_amount = rng.uniform(*handbook.mean_amounts, handbook.customers)
        a_day = rng.uniform(0, handbook.most_a_day, handbook.customers)
        terminals = rng.uniform(0, handbook.side, (handbook.terminals, 2))
        reach, begin = _reach(homes, terminals, handbook.radius)
        latitude = handbook.south + terminals[:, 1] * handbook.km_a_unit / _KM_A_DEGREE
        parallel = _KM_A_DEGREE * np.cos(np.radians(handbook.south))
        longitude = handbook.west + terminals[:, 0] * handbook.km_a_unit / parallel
        return cls(seed, handbook, mean_amount, a_day, reach, begin, latitude, longitude)

    @cached_property
    def customer_ids(self) -> pa.StringArray:
        """The ids (c,) as Arrow strings."""
        return pa.array([f"c{number:07d}" for number in range(len(self.a_day))], pa.string())

    @cached_property
    def merchant_ids(self) -> pa.StringArray:
        """The terminals' ids (t,) as Arrow strings: a terminal is a merchant."""
        return pa.array([f"t{number:07d}" for number in range(len(self.latitude))], pa.string())


def _reach(homes: Array, terminals: Array, radius: float) -> tuple[Array, Array]:
    """Which terminals (t, 2) lie nearer to each home (c, 2) than the radius: their numbers, and where each home's begin."""
    found, counts = [], []
    for first in range(0, len(homes), _AT_ONCE):
        x, y = (homes[first : first + _AT_ONCE, axis, None] - terminals[:, axis] for axis in (0, 1))
        near = x * x + y * y < radius**2
        found.append(np.nonzero(near)[1])
        counts.append(near.sum(axis=1))
    return np.concatenate(found), np.append(0, np.cumsum(np.concatenate(counts)))
