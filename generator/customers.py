"""The customers: where they live, work and shop, what they earn, how much and how often they spend, and on which devices."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from generator.arrays import Array, pick, zipf_weights
from generator.categories import CASH, numbers
from generator.merchants import Merchants, categories_of_kind
from generator.places import BANK, CITY, PER_EURO, WEB, distance_km
from generator.rhythm import EMPLOYED, RHYTHM_SHARES

CUSTOMER: Final = np.dtype(
    [
        ("home", "i2"),
        ("work", "i2"),
        ("country", "i1"),
        ("rhythm", "i1"),
        ("income", "i1"),
        ("payday", "i1"),
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
        ("tenure", "f8"),
        ("since", "f8"),
    ]
)
"""One customer. `home` and `work` are places; `income` is an index into INCOMES; `payday` is a day of the month; `spending`
multiplies amounts; `activity` is transactions a day; `online` and `transfers` are shares of them; `curiosity` is the share
that goes to a merchant outside the favourites; `travels` the chance of a trip in four weeks; `device_age` (at the Unix
epoch) and `device_life` are days: each device is replaced once in a life. After `tenure` days a customer leaves and a new
one with the same habits comes in the place of the old one; `since` are the days that the first one had been there at the
Unix epoch."""

FAVOURITES: Final = {CITY: slice(0, 9), WEB: slice(9, 14), BANK: slice(14, 17)}
"""Which columns of the favourites hold a customer's favourite merchants of a kind, the most visited first; the last of CITY is
a cash machine."""

WORK_FAVOURITES: Final = slice(17, 21)
"""The columns of the merchants that a customer goes to when at work, in the city of `work`."""

INCOMES: Final = (0.6, 0.8, 1.0, 1.35, 2.1)
INCOME_SHARES: Final = np.array([0.2, 0.25, 0.3, 0.18, 0.07])
TRANSACTIONS_A_DAY = 3.0
OWN_COUNTRY = {WEB: 0.7, BANK: 0.92}
COMMUTERS, COMMUTE_KM = 0.3, 40.0
TENURE_DAYS = 1_500.0
AT_WORK = numbers("coffee", "fast_food", "restaurant", "transport", "groceries")
INVENTED, FEWEST_INVENTED, INVENTED_DAYS = 0.03, 20, 90.0


@dataclass(frozen=True)
class Customers:
    """All customers. table: (customers,) CUSTOMER; favourites: (customers, 21) indices of merchants.

    Those from index `honest` on were invented by fraudsters: they do nothing until a scenario uses them.
    """

    table: Array
    favourites: Array
    honest: int


def make_customers(rng: np.random.Generator, places: Array, merchants: Merchants, honest: int) -> Customers:
    """Make honest customers, who live in cities in proportion to the cities' weights, and some invented ones."""
    invented = max(FEWEST_INVENTED, round(INVENTED * honest))
    table = _described(rng, places, honest + invented)
    favourites = _favourites(rng, places, merchants, table)
    table["activity"][honest:] = table["travels"][honest:] = 0.0
    table["tenure"][honest:] = INVENTED_DAYS
    table["since"][honest:] = INVENTED_DAYS * (1 - np.arange(invented) / invented)
    return Customers(table, favourites, honest)


def _described(rng: np.random.Generator, places: Array, number: int) -> Array:
    table = np.empty(number, CUSTOMER)
    table["home"] = pick(rng, places["weight"] * (places["kind"] == CITY), number)
    table["country"] = places["country"][table["home"]]
    table["rhythm"] = pick(rng, RHYTHM_SHARES, number)
    commutes = EMPLOYED[table["rhythm"]] & (rng.random(number) < COMMUTERS)
    table["work"] = np.where(commutes, _neighbours(places)[table["home"]], table["home"])
    table["income"] = pick(rng, INCOME_SHARES, number)
    table["payday"] = rng.choice((1, 15, 25, 27, 28), number)
    income = np.array(INCOMES)[table["income"]]
    table["spending"] = income * rng.lognormal(0.0, 0.25, number) * PER_EURO[table["country"]]
    table["activity"] = rng.gamma(2.0, TRANSACTIONS_A_DAY / 2.0, number).clip(0.05, 20.0)
    table["online"] = rng.beta(2.0, 5.0, number)
    table["transfers"] = rng.beta(1.5, 25.0, number)
    table["curiosity"] = rng.beta(1.5, 12.0, number)
    table["travels"] = rng.beta(1.5, 4.0, number) * (0.7 + 0.3 * income)
    table["pays_by_phone"] = rng.random(number) < 0.35
    table["devices"] = 1 + (rng.random(number) < 0.45)
    table["device_life"] = rng.gamma(6.0, 150.0, number).clip(120.0)
    table["device_age"] = rng.random(number) * table["device_life"]
    table["tenure"] = rng.gamma(4.0, TENURE_DAYS / 4, number).clip(200.0)
    table["since"] = rng.random(number) * table["tenure"]
    return table


def _neighbours(places: Array) -> Array:
    """The city (places,) that people of each place may commute to: the nearest one of their country, or their own."""
    km = distance_km(places["latitude"][:, None], places["longitude"][:, None], places["latitude"], places["longitude"])
    reach = (places["country"][:, None] == places["country"]) & (km < COMMUTE_KM) & (km > 0)
    nearest: Array = np.where(reach, km, np.inf).argmin(axis=1)
    return np.where(reach.any(axis=1), nearest, np.arange(len(places)))


def _favourites(rng: np.random.Generator, places: Array, merchants: Merchants, table: Array) -> Array:
    favourites = np.empty((len(table), WORK_FAVOURITES.stop), np.int32)
    for kind, columns in FAVOURITES.items():
        for column in range(columns.start, columns.stop):
            place = table["home"] if kind == CITY else elsewhere(rng, places, kind, table["country"])
            category = categories_of_kind(rng, np.full(len(table), kind))
            if column == FAVOURITES[CITY].stop - 1:
                category[:] = CASH
            favourites[:, column] = merchants.choose(rng, place, category)
    for column in range(WORK_FAVOURITES.start, WORK_FAVOURITES.stop):
        favourites[:, column] = merchants.choose(rng, table["work"], rng.choice(AT_WORK, len(table)))
    return favourites


def elsewhere(rng: np.random.Generator, places: Array, kind: int, country: Array) -> Array:
    """A place of kind WEB or BANK for customers of each country (n,): mostly their own country's, sometimes another's."""
    of_kind = np.flatnonzero(places["kind"] == kind)
    own = of_kind[np.searchsorted(places["country"][of_kind], country)]
    other = of_kind[pick(rng, places["weight"][of_kind], len(country))]
    return np.where(rng.random(len(country)) < OWN_COUNTRY[kind], own, other)


RANKS: Final = {kind: zipf_weights(columns.stop - columns.start, 0.8) for kind, columns in FAVOURITES.items()}
"""How often each favourite of a kind is visited: Zipf's law over its rank."""
