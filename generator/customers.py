"""The customers: where they live, how much and how often they spend, where they like to shop, and on which devices."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from generator.arrays import Array, pick, zipf_weights
from generator.categories import CASH
from generator.merchants import Merchants, categories_of_kind
from generator.places import BANK, CITY, PER_EURO, WEB
from generator.rhythm import RHYTHM_SHARES

CUSTOMER: Final = np.dtype(
    [
        ("home", "i2"),
        ("country", "i1"),
        ("rhythm", "i1"),
        ("spending", "f8"),
        ("activity", "f8"),
        ("online", "f8"),
        ("transfers", "f8"),
        ("curiosity", "f8"),
        ("travels", "f8"),
        ("pays_by_phone", "?"),
        ("devices", "u1"),
        ("device_age", "f8"),
        ("device_life", "f8"),
    ]
)
"""One customer. `home` is a place; `spending` multiplies amounts; `activity` is transactions a day; `online` and `transfers`
are shares of them; `curiosity` is the share that goes to a merchant outside the favourites; `travels` the chance of a trip
in four weeks; `device_age` (at the Unix epoch) and `device_life` are days: each device is replaced once in a life."""

FAVOURITES: Final = {CITY: slice(0, 9), WEB: slice(9, 14), BANK: slice(14, 17)}
"""Which columns of the favourites hold a customer's favourite merchants of a kind, the dearest first; the last of CITY is
a cash machine."""

TRANSACTIONS_A_DAY = 3.0
OWN_COUNTRY = {WEB: 0.7, BANK: 0.92}


@dataclass(frozen=True)
class Customers:
    """All customers. table: (customers,) CUSTOMER; favourites: (customers, 17) indices of merchants."""

    table: Array
    favourites: Array


def make_customers(rng: np.random.Generator, places: Array, merchants: Merchants, number: int) -> Customers:
    """Make `number` customers, who live in cities in proportion to the cities' weights."""
    table = np.empty(number, CUSTOMER)
    table["home"] = pick(rng, places["weight"] * (places["kind"] == CITY), number)
    table["country"] = places["country"][table["home"]]
    table["rhythm"] = pick(rng, RHYTHM_SHARES, number)
    table["spending"] = rng.lognormal(0.0, 0.4, number) * PER_EURO[table["country"]]
    table["activity"] = rng.gamma(2.0, TRANSACTIONS_A_DAY / 2.0, number).clip(0.05, 20.0)
    table["online"] = rng.beta(2.0, 5.0, number)
    table["transfers"] = rng.beta(1.5, 25.0, number)
    table["curiosity"] = rng.beta(1.5, 12.0, number)
    table["travels"] = rng.beta(1.5, 4.0, number)
    table["pays_by_phone"] = rng.random(number) < 0.35
    table["devices"] = 1 + (rng.random(number) < 0.45)
    table["device_life"] = rng.gamma(6.0, 150.0, number).clip(120.0)
    table["device_age"] = rng.random(number) * table["device_life"]
    return Customers(table, _favourites(rng, places, merchants, table))


def _favourites(rng: np.random.Generator, places: Array, merchants: Merchants, table: Array) -> Array:
    favourites = np.empty((len(table), FAVOURITES[BANK].stop), np.int32)
    for kind, columns in FAVOURITES.items():
        for column in range(columns.start, columns.stop):
            place = table["home"] if kind == CITY else elsewhere(rng, places, kind, table["country"])
            category = categories_of_kind(rng, np.full(len(table), kind))
            if column == FAVOURITES[CITY].stop - 1:
                category[:] = CASH
            favourites[:, column] = merchants.choose(rng, place, category)
    return favourites


def elsewhere(rng: np.random.Generator, places: Array, kind: int, country: Array) -> Array:
    """A place of kind WEB or BANK for customers of each country (n,): mostly their own country's, sometimes another's."""
    of_kind = np.flatnonzero(places["kind"] == kind)
    own = of_kind[np.searchsorted(places["country"][of_kind], country)]
    other = of_kind[pick(rng, places["weight"][of_kind], len(country))]
    return np.where(rng.random(len(country)) < OWN_COUNTRY[kind], own, other)


RANKS: Final = {kind: zipf_weights(columns.stop - columns.start, 0.8) for kind, columns in FAVOURITES.items()}
"""How often each favourite of a kind is visited: Zipf's law over its rank."""
