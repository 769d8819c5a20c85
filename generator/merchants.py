"""The merchants: shops and cash machines in every city, online shops, and the people and firms that transfers go to."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from generator.arrays import Array, pick
from generator.categories import CATEGORIES, IS_OPEN, SHARES
from generator.places import BANK, CITY, WEB

MERCHANT: Final = np.dtype(
    [
        ("place", "i2"),
        ("category", "i1"),
        ("price", "f8"),
        ("opens_later", "i1"),
        ("latitude", "f8"),
        ("longitude", "f8"),
        ("categorised", "?"),
    ]
)
"""One merchant. `price` multiplies its category's typical amount; it `opens_later` (and closes later) than is usual in its
category by so many hours, which may be negative; coordinates are NaN where its terminal or kind sends none; `categorised` is
False for the few whose acquirer sends no category."""

OLD_TERMINALS, UNCATEGORISED = 0.03, 0.01
NEWCOMERS: Final = 3_000
"""Web shops that are still to open: the last rows of the table."""

CITY_SPREAD_DEGREES = 0.04


@dataclass(frozen=True)
class Merchants:
    """All merchants, sorted by place and category, so that those of one place and category are neighbours.

    table: (merchants,) MERCHANT; first, count: (places, categories), where each such shelf begins and how many it holds.
    The last NEWCOMERS rows are on no shelf and in no order: `generator.openings` says when each of them opens.
    """

    table: Array
    first: Array
    count: Array

    def open(self, merchant: Array, local_hour: Array) -> Array:
        """Whether each merchant (n,) does business in its own local hour (n,) of the day, 0 to 23."""
        shops = self.table[merchant]
        is_open: Array = IS_OPEN[shops["category"], (local_hour - shops["opens_later"]) % 24]
        return is_open

    def choose(self, rng: np.random.Generator, place: Array, category: Array) -> Array:
        """One merchant for each place and category of its kind (n,), the popular ones more often."""
        rank = self.count[place, category] * rng.random(len(place)) ** 2
        chosen: Array = self.first[place, category] + rank.astype(np.int64)
        return chosen


def with_newcomers(rng: np.random.Generator, places: Array, merchants: Merchants) -> Merchants:
    """The merchants, and after them NEWCOMERS web shops, in each country in proportion to its weight."""
    place = pick(rng, places["weight"] * (places["kind"] == WEB), NEWCOMERS)
    later = _described(rng, places, place, categories_of_kind(rng, places["kind"][place])).table
    return Merchants(np.concatenate([merchants.table, later]), merchants.first, merchants.count)


def make_merchants(rng: np.random.Generator, places: Array, number: int) -> Merchants:
    """Make `number` merchants or a few more: at least one of every category in every city, and at least three online."""
    kinds = np.array([c.kind for c in CATEGORIES])
    least = np.select([places["kind"] == CITY, places["kind"] == WEB], [1, 3], 10)
    place, category = np.nonzero(places["kind"][:, None] == kinds)
    repeats = least[place]
    place, category = np.repeat(place, repeats), np.repeat(category, repeats)
    more = max(number - len(place), 0)
    extra = pick(rng, places["weight"] * np.array([1.0, 0.25, 0.2])[places["kind"]] + 0.02 * places["visits"], more)
    place = np.concatenate([place, extra])
    category = np.concatenate([category, categories_of_kind(rng, places["kind"][extra])])
    order = np.lexsort((category, place))
    return _described(rng, places, place[order], category[order])


def categories_of_kind(rng: np.random.Generator, kind: Array) -> Array:
    """A category for each kind of place (n,), by its share of that kind's purchases."""
    category = np.empty(len(kind), np.int64)
    for each in (CITY, WEB, BANK):
        chosen = kind == each
        category[chosen] = pick(rng, SHARES[each], int(chosen.sum()))
    return category


def _described(rng: np.random.Generator, places: Array, place: Array, category: Array) -> Merchants:
    table = np.empty(len(place), MERCHANT)
    table["place"], table["category"] = place, category
    table["price"] = rng.lognormal(0.0, 0.25, len(place))
    table["opens_later"] = rng.integers(-1, 2, len(place))
    table["categorised"] = rng.random(len(place)) >= UNCATEGORISED
    for axis in ("latitude", "longitude"):
        table[axis] = (places[axis][place] + rng.normal(0, CITY_SPREAD_DEGREES, len(place))).round(4)
    silent = rng.random(len(place)) < OLD_TERMINALS
    table["latitude"][silent] = table["longitude"][silent] = np.nan
    shape = (len(places), len(CATEGORIES))
    count = np.bincount(place * shape[1] + category, minlength=shape[0] * shape[1]).reshape(shape)
    first = (np.cumsum(count) - count.ravel()).reshape(shape)
    return Merchants(table, first, count)
