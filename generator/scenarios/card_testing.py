"""Card testing: a fraudster finds out which stolen card numbers still work.

What the fraudster does: runs a list of bought or guessed card numbers through online shops that check little, in tiny or
zero amounts that no cardholder notices. A card that works is sold, or used within hours for goods that sell well.

What it looks like in the data: 8 to 30 online payments of one customer, zero or a few euro each, at one to three shops that
the customer has never visited; from a device never seen before, a new one each time, or none. Crude bots take seconds
between two payments; patient ones wait for minutes, so that nothing piles up in any short window. Some amounts are those of
any small purchase, of 9 euro as often as not, but never so many that half a campaign's payments cost more than that. After
about every second campaign, one to three large purchases follow.

Source: OWASP Automated Threat Handbook, OAT-001 Carding and OAT-010 Card Cracking.
"""

from typing import Final

import numpy as np

from generator.arrays import Array
from generator.categories import numbers
from generator.drafts import HOUR_MS, ONLINE
from generator.places import PER_EURO
from generator.population import Population
from generator.scenarios.parts import laid_out, online_shops, strange_devices, sums
from generator.scenarios.scenario import MINUTE_MS, Scenario, Style, cumulated

FEWEST, MOST = 8, 30
ZERO, ORDINARY = 0.3, 0.15  # shares of the tests
TINY, SMALL = 5.0, 9.0  # euro: the most that a tiny test costs; what ordinary ones cost, as often less as more
CASHED = 0.5  # share of the campaigns
LONGEST_HOURS = 20
TESTED, CASHED_AT = numbers("games", "subscription", "marketplace"), numbers("marketplace", "gift_cards", "fashion")


def play(rng: np.random.Generator, population: Population, victims: Array, start: Array, style: Style) -> Array:
    """Card testing against each victim (n,) from its start (n,) on."""
    tests = _tests(rng, population, victims, start, style)
    purchases = _purchases(rng, population, victims, start, style)
    return np.concatenate([_mostly_tiny(population, tests, purchases), purchases])


def _tests(rng: np.random.Generator, population: Population, victims: Array, start: Array, style: Style) -> Array:
    n = len(victims)
    sizes = style.sizes(rng, FEWEST, MOST, n)
    made, campaign, number = laid_out(victims, sizes)
    made["channel"] = ONLINE
    crude = np.where(rng.random(n) < 0.7, rng.uniform(4, 15, n), rng.uniform(30, 60, n))
    patient = np.minimum(rng.uniform(900, 2_400, n), LONGEST_HOURS * 3600 / 1.5 / sizes)
    seconds = np.where(rng.random(n) < style.of(0.95, 0.48, 0.03), crude, patient)
    since = cumulated(rng.exponential(seconds[campaign]) * 1000, sizes)
    made["time"] = start[campaign] + since.clip(max=LONGEST_HOURS * HOUR_MS).astype(np.int64)
    shops = online_shops(rng, population, TESTED, 3 * n).reshape(n, 3)
    made["merchant"] = shops[campaign, number * rng.integers(1, 4, n)[campaign] // sizes[campaign]]
    u = rng.random(len(made))
    euro = np.where(u < ZERO + ORDINARY, rng.lognormal(2.2, 0.5, len(made)), rng.uniform(0.5, TINY, len(made)))
    made["amount"] = np.where(u < ZERO, 0.0, (euro * _per_euro(population, made)).round(2))
    device = rng.random(n)[campaign]
    one, many = strange_devices(rng, n)[campaign], strange_devices(rng, len(made))
    made["device"] = np.select([device < 0.6, device < 0.8], [one, many], np.uint64(0))
    return made


def _mostly_tiny(population: Population, tests: Array, purchases: Array) -> Array:
    """The tests; those of a campaign of which chance made half cost more than SMALL cost a tenth where they are not tiny."""
    whole = np.concatenate([tests, purchases])
    over = np.bincount(whole["campaign"], whole["amount"] > SMALL * _per_euro(population, whole))
    dear = over >= np.bincount(whole["campaign"]) / 2
    tenth = dear[tests["campaign"]] & (tests["amount"] > TINY * _per_euro(population, tests))
    tests["amount"] = np.where(tenth, (tests["amount"] / 10).round(2), tests["amount"])
    return tests


def _per_euro(population: Population, made: Array) -> Array:
    rate: Array = PER_EURO[population.customers.table["country"][made["customer"]]]
    return rate


def _purchases(rng: np.random.Generator, population: Population, victims: Array, start: Array, style: Style) -> Array:
    sizes = np.where(rng.random(len(victims)) < CASHED, style.sizes(rng, 1, 3, len(victims)), 0)
    made, campaign, _ = laid_out(victims, sizes)
    made["channel"] = ONLINE
    made["time"] = start[campaign] + (rng.uniform(30, 500, len(made)) * MINUTE_MS).astype(np.int64)
    made["merchant"] = online_shops(rng, population, CASHED_AT, len(made))
    made["amount"] = sums(rng, population, made, 160.0, 0.6)
    made["device"] = strange_devices(rng, len(made))
    return made


CARD_TESTING: Final = Scenario(
    "card_testing",
    play,
    share=0.1566,
    size=(FEWEST + MOST) / 2 + 2 * CASHED,
    rule=lambda t: (t["channel"] == "online") * t["count_10m"] / (1 + t["amount"]),
    tampers=frozenset(
        {
            "first_countries_24h",
            "amount_ratio",
            "channel_count_24h",
            "log_amount_ratio",
            "log_device_age_seconds",
            "no_device",
            "small_count_1h",
            "count_10m",
            "count_1h",
            "count_24h",
            "log_seconds_since_previous",
            "new_merchant",
            "new_device",
            "log_amount",
        }
    ),
    hours=24,
)
