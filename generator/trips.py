"""Where every customer is in each simulated hour: at home, on a trip at home or abroad, or on the way."""

from collections.abc import Callable
from functools import lru_cache

import numpy as np

from generator.arrays import Array, pick
from generator.drift import NO_DRIFT, Drift
from generator.places import distance_km
from generator.population import Population
from generator.randomness import Purpose, generator
from generator.seasons import travelling

PERIOD_HOURS = 28 * 24  # each customer may begin one trip in each period; a trip may reach into the next one
SHORTEST_HOURS, LONGEST_HOURS = 20, 12 * 24
DOMESTIC = 0.55
LIKELIEST = 0.95
ON_THE_WAY = -1


def whereabouts(population: Population, drift: Drift = NO_DRIFT) -> Callable[[int], Array]:
    """A function from an hour since the epoch to the place (customers,) where each customer is; ON_THE_WAY between two."""

    @lru_cache(maxsize=3)
    def trips(period: int) -> tuple[Array, Array, Array, Array]:
        return _trips(population, drift, period)

    def at(hour: int) -> Array:
        place: Array = population.customers.table["home"].astype(np.int64)
        for period in (hour // PERIOD_HOURS, hour // PERIOD_HOURS - 1):  # the older trip is finished first
            begin, end, way, destination = trips(period)
            away = (begin <= hour) & (hour < end)
            underway = away & ((hour < begin + way) | (hour >= end - way))
            place = np.where(underway, ON_THE_WAY, np.where(away, destination, place))
        return place

    return at


def _trips(population: Population, drift: Drift, period: int) -> tuple[Array, Array, Array, Array]:
    """Of every customer (customers,): begin and end of this period's trip and the hours each way, and where it goes.

    Who does not travel has a trip that ends when it begins. Travelling takes at least the time that train or aeroplane
    need, so that no honest card is ever in two places at once.
    """
    rng, table, places = (
        generator(population.seed, Purpose.TRIPS, period),
        population.customers.table,
        population.places,
    )
    n = len(table)
    cities = population.cities
    abroad, rising = (cities[pick(rng, places[weight][cities], n)] for weight in ("visits", "rises"))
    first, count = _cities_by_country(places["country"][cities])
    country = table["country"]
    domestic = cities[first[country] + (count[country] * rng.random(n)).astype(np.int64)]
    begin = period * PERIOD_HOURS + (rng.random(n) * PERIOD_HOURS).astype(np.int64)
    destination = np.where(rng.random(n) < DOMESTIC, domestic, abroad)
    destination = np.where(rng.random(n) < drift.to_new_countries(begin), rising, destination)
    home, there = places[table["home"]], places[destination]
    km = distance_km(home["latitude"], home["longitude"], there["latitude"], there["longitude"])
    way = np.ceil(1 + np.minimum(km / 90, 3 + km / 700)).astype(np.int64)
    stay = SHORTEST_HOURS + (LONGEST_HOURS - SHORTEST_HOURS) * rng.random(n) ** 2.0
    chance = np.minimum(table["travels"] * travelling(begin), LIKELIEST)
    goes = (rng.random(n) < chance) & (destination != table["home"])
    return begin, np.where(goes, begin + stay.astype(np.int64) + 2 * way, begin), way, destination


def _cities_by_country(country: Array) -> tuple[Array, Array]:
    """Where each country's run begins in a sorted array of countries, and how long it is."""
    numbers = np.arange(country.max() + 1)
    first = np.searchsorted(country, numbers)
    return first, np.searchsorted(country, numbers, side="right") - first
