"""Web shops that open: which of them are new in an hour, and how many people try each.

A new shop draws a burst of customers who have never been there, and after some weeks only a few. Nearly all such shops are
honest, so that a burst of new customers is no proof of fraud; a rogue shop is one of them.
"""

from typing import Final

import numpy as np

from generator.arrays import Array, pick
from generator.drafts import HOUR_MS
from generator.merchants import NEWCOMERS
from generator.population import Population
from generator.randomness import Purpose, generator

FRESH_DAYS: Final = 60
CUSTOMERS_AN_OPENING: Final = 6_500  # of the bank, for one shop a day
REOPENS_DAYS: Final = 2 * FRESH_DAYS  # at least, until the same row of the table is a new shop again
BURST_DAYS, AFTERWARDS = 8.0, 0.1  # how fast the burst fades, and what remains of its height
LOOKED_AT: Final = 40  # of the latest openings
HEARD_OF: Final = 0.6  # of the purchases at web shops that are new to the customer: one was told of a new shop


def fresh_shops(population: Population, hour: int) -> tuple[Array, Array]:
    """The merchants (m,) that opened in the FRESH_DAYS before an hour since the epoch, the latest last, and their pull (m,)."""
    day, a_day = hour / 24, _openings_a_day(population)
    number = np.arange(np.ceil((day - FRESH_DAYS) * a_day), np.floor(day * a_day) + 1).astype(np.int64)
    return _row(population, number), AFTERWARDS + np.exp(-(day - number / a_day) / BURST_DAYS)


def latest_shops(population: Population, time: Array, country: Array, shops: int) -> Array:
    """The merchants (n, shops) that opened last before each time (n,) in ms; in each country (n,), while it has any of them."""
    latest = np.floor(time / (24 * HOUR_MS) * _openings_a_day(population)).astype(np.int64)
    merchant = _row(population, latest[:, None] - np.arange(LOOKED_AT))
    own = population.places["country"][population.merchants.table["place"][merchant]] == country[:, None]
    chosen: Array = np.take_along_axis(merchant, np.argsort(~own, axis=1, kind="stable")[:, :shops], axis=1)
    return chosen


def _openings_a_day(population: Population) -> float:
    return min(population.honest / CUSTOMERS_AN_OPENING, NEWCOMERS / REOPENS_DAYS)


def _row(population: Population, number: Array) -> Array:
    """Which rows of the merchants' table the openings of these numbers (…) are."""
    row: Array = len(population.merchants.table) - NEWCOMERS + number % NEWCOMERS
    return row


def at_newcomers(population: Population, hour: int, merchant: Array, may: Array) -> Array:
    """The merchants (n,) of an hour's purchases, some of those that `may` (n,) change moved to a new shop of the same place."""
    rng, (shops, pull) = generator(population.seed, Purpose.OPENINGS, hour), fresh_shops(population, hour)
    if not len(shops):
        return merchant
    place = population.merchants.table["place"]
    told = shops[pick(rng, pull, len(merchant))]
    goes = may & (rng.random(len(merchant)) < HEARD_OF) & (place[told] == place[merchant])
    return np.where(goes, told, merchant)
