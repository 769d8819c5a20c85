"""One simulated bank: its places, merchants and customers, made once per seed."""

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
import pyarrow as pa
from faker import Faker

from generator.arrays import Array
from generator.customers import FAVOURITES, Customers, make_customers
from generator.merchants import Merchants, make_merchants, with_newcomers
from generator.places import CITY, COUNTRIES, WEB, make_places
from generator.randomness import Purpose, generator

CUSTOMERS, MERCHANTS = 50_000, 5_000
NAMES_A_COUNTRY = 60


@dataclass(frozen=True, eq=False)
class Population:
    """Places, merchants and customers; whatever happens in traffic and campaigns refers to them by index."""

    seed: int
    places: Array
    merchants: Merchants
    customers: Customers
    people: tuple[tuple[str, ...], ...]
    firms: tuple[tuple[str, ...], ...]

    @property
    def honest(self) -> int:
        """How many customers there are; those of a higher index were invented by fraudsters."""
        return self.customers.honest

    def generation(self, customer: Array, day: Array | int) -> Array:
        """How many other customers were there before each (n,) in the same place, by this day since the epoch."""
        table = self.customers.table
        generation: Array = ((day + table["since"][customer]) / table["tenure"][customer]).astype(np.int64)
        return generation

    @lru_cache(maxsize=4)  # noqa: B019 – a population is made once per process
    def customer_ids(self, day: int) -> pa.StringArray:
        """The ids (customers,) as Arrow strings, of those who are customers on this day since the epoch."""
        generation = self.generation(np.arange(len(self.customers.table)), day)
        names = [f"c{seat:07d}-{number}" for seat, number in enumerate(generation.tolist())]
        return pa.array(names, pa.string())

    @cached_property
    def regulars(self) -> tuple[Array, Array]:
        """Who goes where often: merchants, sorted, and beside each an honest customer who visits it most, or nearly so."""
        return self._visitors(slice(0, 3))

    @cached_property
    def city_regulars(self) -> tuple[Array, Array]:
        """The same of shops and cash machines: beside each an honest customer who has it as a favourite of any rank."""
        return self._visitors(FAVOURITES[CITY])

    @cached_property
    def online_regulars(self) -> tuple[Array, Array]:
        """The same of web shops: merchants, sorted, and beside each an honest customer who has it as a favourite."""
        return self._visitors(FAVOURITES[WEB])

    def _visitors(self, columns: slice) -> tuple[Array, Array]:
        dearest = self.customers.favourites[: self.honest, columns]
        customer = np.repeat(np.arange(self.honest), dearest.shape[1])
        order = np.argsort(dearest, axis=None, kind="stable")
        return dearest.ravel()[order], customer[order]

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
    """Make the bank of one seed: the same in every process, and its merchants the same for any number of customers."""
    places = make_places(_faker("en_US", seed))
    shops = make_merchants(generator(seed, Purpose.POPULATION, 0), places, merchants)
    people = make_customers(generator(seed, Purpose.POPULATION, 1), places, shops, customers)
    shops = with_newcomers(generator(seed, Purpose.OPENINGS), places, shops)
    fakes = [_faker(country.locale, seed * len(COUNTRIES) + number) for number, country in enumerate(COUNTRIES)]
    names = tuple(tuple(fake.name() for _ in range(NAMES_A_COUNTRY)) for fake in fakes)
    firms = tuple(tuple(fake.company() for _ in range(NAMES_A_COUNTRY)) for fake in fakes)
    return Population(seed, places, shops, people, names, firms)


def _faker(locale: str, seed: int) -> Faker:
    fake = Faker(locale)
    fake.seed_instance(seed)
    return fake
