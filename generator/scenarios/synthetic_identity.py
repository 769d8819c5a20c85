"""Synthetic identity: a customer who does not exist opens an account, behaves well for weeks, then takes all there is.

What the fraudster does: puts a person together from real and invented data, passes the checks for new customers, and nurses
the account with small, regular payments until it counts as good. Then it is used up, and there is no person who would pay or to
complain.

What it looks like in the data: an account without a past. Three to five weeks of small purchases at few merchants and from
one device (they harm nobody and carry no label); then 6 to 14 purchases and withdrawals in categories and at merchants that
are new to it: crude ones in a day or two and of many times the earlier amounts, careful ones within a week and moderate.

Source: Federal Reserve System, "Synthetic Identity Fraud in the U.S. Payment System: A Review of Causes and Contributing
Factors" (2019).
"""

from typing import Final

import numpy as np

from generator.arrays import Array
from generator.categories import numbers
from generator.customers import INVENTED_DAYS
from generator.devices import device_of
from generator.drafts import CONTACTLESS, HOUR_MS, ONLINE
from generator.population import Population
from generator.scenarios.bust_out import awake, buy
from generator.scenarios.parts import amounts, city_of, laid_out, online_shops, shops_at, spread_out
from generator.scenarios.scenario import BUILD_UP, Scenario, Style

FEWEST, MOST = 6, 14
NURSING_FEWEST, NURSING_MOST = 18, 40
NURSING_DAYS = 21, 35
NEARBY, ONLINE_AT = numbers("groceries", "coffee", "fast_food", "transport"), numbers("subscription", "food_delivery")


def play(rng: np.random.Generator, population: Population, victims: Array, start: Array, style: Style) -> Array:
    """As many invented customers as there are victims (n,), each opening an account at about its start (n,)."""
    n = len(victims)
    identity = _identities(rng, population, start)
    crude = rng.random(n) < style.of(0.95, 0.65, 0.03)
    days = rng.uniform(*NURSING_DAYS, n)
    ends = start + (days * 24 * HOUR_MS).astype(np.int64)
    lasts = np.where(crude, rng.uniform(0.3, 1.5, n), rng.uniform(3.0, 6.0, n)) * 24 * HOUR_MS

    before, campaign, _ = laid_out(identity, rng.integers(NURSING_FEWEST, NURSING_MOST + 1, n))
    before["scenario"] = BUILD_UP
    before["time"] = awake(start[campaign] + spread_out(rng, campaign, days * 24 * HOUR_MS))
    _live(rng, population, before)

    burst, campaign, _ = laid_out(identity, style.sizes(rng, FEWEST, MOST, n))
    burst["time"] = awake(ends[campaign] + spread_out(rng, campaign, lasts))
    buy(rng, population, burst)
    times = np.where(crude[campaign], rng.uniform(4, 12, len(burst)), rng.uniform(0.8, 2.0, len(burst)))
    burst["amount"] = amounts(rng, population, burst, times)
    return np.concatenate([before, burst])


def _identities(rng: np.random.Generator, population: Population, start: Array) -> Array:
    """An invented customer (n,) for each start: one whose place has lately been taken by the next invention."""
    first, invented = population.honest, len(population.customers.table) - population.honest
    turn = (start / (24 * HOUR_MS) / INVENTED_DAYS) % 1 * invented
    behind = rng.integers(0, max(1, invented // 10), len(start))
    chosen: Array = first + (turn.astype(np.int64) - behind) % invented
    return chosen


def _live(rng: np.random.Generator, population: Population, made: Array) -> None:
    """Fill in what a modest new customer does."""
    n = len(made)
    online = rng.random(n) < 0.3
    nearby = shops_at(rng, population, city_of(population, made["customer"]), NEARBY)
    made["merchant"] = np.where(online, online_shops(rng, population, ONLINE_AT, n), nearby)
    made["channel"] = np.where(online, ONLINE, CONTACTLESS)
    made["device"] = np.where(online, device_of(population, made["customer"], made["time"], np.zeros(n, bool)), 0)
    made["amount"] = amounts(rng, population, made, 0.8)


SYNTHETIC_IDENTITY: Final = Scenario(
    "synthetic_identity",
    play,
    share=0.0609,
    size=(FEWEST + MOST) / 2,
    rule=lambda t: t["new_merchant"] * t["sum_24h"] * t["amount_ratio"],
    tampers=frozenset(
        {
            "first_countries_24h",
            "sum_1h",
            "first_merchants_24h",
            "log_amount_ratio",
            "new_merchant",
            "new_category",
            "amount_z",
            "amount_ratio",
            "log_amount",
            "sum_24h",
            "count_24h",
        }
    ),
    hours=(NURSING_DAYS[1] + 8) * 24,
)
