"""Bust-out: a customer builds up trust and a high limit, then spends everything and disappears.

What the fraudster does: is the customer, or has bought the account; pays on time for weeks and buys a little more each week,
until the limit is raised; then, within a day or two, turns the whole limit into goods that sell well and into cash.

What it looks like in the data: two to four weeks of additional purchases that grow slowly (they harm nobody and carry no
label), then 10 to 20 purchases at electronics shops, cash machines, marketplaces and for gift cards. Crude ones are over in
a day, at many times the usual amount; careful ones take most of a week. Device and city are the customer's own.

Source: Experian white paper "Bust-out fraud: Knowing what to look for can safeguard the bottom line" (2009); Mastercard,
"Security Rules and Procedures - Merchant Edition", Questionable Merchant Audit Program, on cardholder bust-out accounts.
"""

from typing import Final

import numpy as np

from generator.arrays import Array
from generator.categories import CASH, CATEGORIES, numbers
from generator.devices import device_of
from generator.drafts import ATM, CHIP, HOUR_MS, ONLINE
from generator.places import CITY
from generator.population import Population
from generator.scenarios.parts import amounts, city_of, laid_out, online_shops, shops_at, spread_out
from generator.scenarios.scenario import BUILD_UP, Scenario, Style

FEWEST, MOST = 10, 20
BUILD_UP_FEWEST, BUILD_UP_MOST = 8, 16
BUILD_UP_DAYS = 14, 28
ASLEEP_HOURS = 7
GOODS = numbers("electronics", "home", "clothing", "cash")
WEB_GOODS = numbers("marketplace", "gift_cards", "travel")
_KINDS = np.array([category.kind for category in CATEGORIES])


def play(rng: np.random.Generator, population: Population, victims: Array, start: Array, style: Style) -> Array:
    """A bust-out of each customer (n,), whose build-up begins at its start (n,)."""
    n = len(victims)
    crude = rng.random(n) < style.of(0.95, 0.6, 0.03)
    days = rng.uniform(*BUILD_UP_DAYS, n)
    ends = start + (days * 24 * HOUR_MS).astype(np.int64)
    lasts = np.where(crude, rng.uniform(0.3, 1.2, n), rng.uniform(3.0, 6.0, n)) * 24 * HOUR_MS

    before, campaign, _ = laid_out(victims, rng.integers(BUILD_UP_FEWEST, BUILD_UP_MOST + 1, n))
    before["scenario"] = BUILD_UP
    since = spread_out(rng, campaign, days * 24 * HOUR_MS)
    before["time"] = awake(start[campaign] + since)
    buy(rng, population, before)
    before["amount"] = amounts(rng, population, before, 1 + since / (days[campaign] * 24 * HOUR_MS))

    burst, campaign, _ = laid_out(victims, style.sizes(rng, FEWEST, MOST, n))
    burst["time"] = awake(ends[campaign] + spread_out(rng, campaign, lasts))
    buy(rng, population, burst)
    times = np.where(crude[campaign], rng.uniform(4, 12, len(burst)), rng.uniform(1.2, 3.0, len(burst)))
    burst["amount"] = amounts(rng, population, burst, times)
    return np.concatenate([before, burst])


def awake(time: Array) -> Array:
    """Times (n,), those of the small hours moved into the day."""
    asleep = time % (24 * HOUR_MS) < ASLEEP_HOURS * HOUR_MS
    moved: Array = time + asleep * ASLEEP_HOURS * HOUR_MS
    return moved


def buy(rng: np.random.Generator, population: Population, made: Array) -> None:
    """Fill in merchant, channel and device: goods that sell well, in the customer's city and online, from their own device."""
    n = len(made)
    online = rng.random(n) < 0.45
    nearby = shops_at(rng, population, city_of(population, made["customer"]), GOODS)
    made["merchant"] = np.where(online, online_shops(rng, population, WEB_GOODS, n), nearby)
    category = population.merchants.table["category"][made["merchant"]]
    made["channel"] = np.select([_KINDS[category] != CITY, category == CASH], [ONLINE, ATM], CHIP)
    own = device_of(population, made["customer"], made["time"], np.zeros(n, bool))
    made["device"] = np.where(online, own, 0)


BUST_OUT: Final = Scenario(
    "bust_out",
    play,
    share=0.087,
    size=(FEWEST + MOST) / 2,
    rule=lambda t: t["sum_24h"] * t["amount_ratio"],
    tampers=frozenset(
        {
            "first_countries_24h",
            "first_merchants_24h",
            "log_amount_ratio",
            "sum_24h",
            "count_24h",
            "amount_z",
            "amount_ratio",
            "log_amount",
            "new_merchant",
            "sum_1h",
        }
    ),
    hours=(BUILD_UP_DAYS[1] + 8) * 24,
)
