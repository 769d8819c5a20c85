"""One simulated bank's world: its places, merchants and customers, made once per seed."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
from faker import Faker

from generator.arrays import Array
from generator.customers import Customers, make_customers
from generator.merchants import Merchants, make_merchants
from generator.places import CITY, COUNTRIES, make_places
from generator.randomness import Purpose, generator

CUSTOMERS, MERCHANTS = 50_000, 5_000
NAMES_A_COUNTRY = 60


@dataclass(frozen=True)
class Population:
    """Places, merchants and customers; whatever happens in traffic and campaigns refers to them by index."""

    seed: int
    places: Array
    merchants: Merchants
    customers: Customers
    people: tuple[tuple[str, ...], ...]
    firms: tuple[tuple[str, ...], ...]

    @cached_property
    def customer_ids(self) -> pa.StringArray:
        """The ids (customers,) as Arrow strings."""
        return pa.array([f"c{number:07d}" for number in range(len(self.customers.table))], pa.string())

    @cached_property
    def merchant_ids(self) -> pa.StringArray:
        """The ids (merchants,) as Arrow strings."""
        return pa.array([f"m{number:06d}" for number in range(len(self.merchants.table))], pa.string())

    @cached_property
    def utc_offsets(self) -> Array:
        """Standard time of each place (places,), in hours ahead of UTC."""
        offsets: Array = np.array([country.utc_offset for country in COUNTRIES])[self.places["country"]]
        return offsets

    @cached_property
    def cities(self) -> Array:
        """The indices of the places that are cities."""
        return np.flatnonzero(self.places["kind"] == CITY)

    def customer_name(self, customer: int) -> str:
        """A customer's name, for people who read reports; names repeat, ids do not."""
        names = self.people[int(self.customers.table["country"][customer])]
        return names[customer % len(names)]

    def merchant_name(self, merchant: int) -> str:
        """A merchant's name, for people who read reports; names repeat, ids do not."""
        names = self.firms[int(self.places["country"][self.merchants.table["place"][merchant]])]
        return names[merchant % len(names)]


def make_population(seed: int, customers: int = CUSTOMERS, merchants: int = MERCHANTS) -> Population:
    """Make the world of one seed: the same in every process, and its merchants the same for any number of customers."""
    places = make_places(_faker("en_US", seed))
    shops = make_merchants(generator(seed, Purpose.POPULATION, 0), places, merchants)
    people = make_customers(generator(seed, Purpose.POPULATION, 1), places, shops, customers)
    fakes = [_faker(country.locale, seed * len(COUNTRIES) + number) for number, country in enumerate(COUNTRIES)]
    names = tuple(tuple(fake.name() for _ in range(NAMES_A_COUNTRY)) for fake in fakes)
    firms = tuple(tuple(fake.company() for _ in range(NAMES_A_COUNTRY)) for fake in fakes)
    return Population(seed, places, shops, people, names, firms)


def _faker(locale: str, seed: int) -> Faker:
    fake = Faker(locale)
    fake.seed_instance(seed)
    return fake
