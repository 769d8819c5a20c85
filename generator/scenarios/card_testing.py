"""Card testing: a fraudster finds out which stolen card numbers still work.

What the fraudster does: runs a list of bought or guessed card numbers through online shops that check little, in tiny or
zero amounts that no cardholder notices. A card that works is sold, or used within hours for goods that sell well.

What it looks like in the data: 10 to 40 online payments of one customer within minutes, zero or a few euro each, at one to
three shops that the customer has never visited; from a device never seen before, a new one each time, or none; bots take
seconds between two payments, people a minute. Some amounts are those of any small purchase. After about every second
campaign, one to three large purchases follow within two hours.

Source: OWASP Automated Threat Handbook, OAT-001 Carding and OAT-010 Card Cracking.
"""

from typing import Final

import numpy as np

from generator.amounts import rounded
from generator.arrays import Array
from generator.categories import numbers
from generator.drafts import ONLINE, drafts
from generator.places import PER_EURO, WEB
from generator.population import Population
from generator.scenarios.scenario import MINUTE_MS, Scenario, cumulated, repeated

FEWEST, MOST = 10, 40
ZERO, ORDINARY = 0.3, 0.1  # shares of the tests
CASHED = 0.5  # share of the campaigns
TESTED, CASHED_AT = numbers("games", "subscription", "marketplace"), numbers("marketplace", "gift_cards", "fashion")


def play(rng: np.random.Generator, population: Population, victims: Array, start: Array) -> Array:
    """Card testing against each victim (n,) from its start (n,) on."""
    return np.concatenate([_tests(rng, population, victims, start), _purchases(rng, population, victims, start)])


def _tests(rng: np.random.Generator, population: Population, victims: Array, start: Array) -> Array:
    sizes = rng.integers(FEWEST, MOST + 1, len(victims))
    campaign, number = repeated(sizes)
    made = drafts(len(campaign))
    made["customer"], made["channel"] = victims[campaign], ONLINE
    seconds_apart = np.where(
        rng.random(len(victims)) < 0.7, rng.uniform(4, 15, len(victims)), rng.uniform(30, 60, len(victims))
    )
    gaps = rng.exponential(seconds_apart[campaign]) * 1000
    made["time"] = start[campaign] + cumulated(gaps, sizes).astype(np.int64)
    shops = _shops(rng, population, TESTED, (len(victims), 3))
    made["merchant"] = shops[campaign, number * rng.integers(1, 4, len(victims))[campaign] // sizes[campaign]]
    u = rng.random(len(made))
    amount = np.where(u < ZERO + ORDINARY, rng.lognormal(2.2, 0.5, len(made)), rng.uniform(0.5, 5.0, len(made)))
    rate = PER_EURO[population.customers.table["country"][made["customer"]]]
    made["amount"] = np.where(u < ZERO, 0.0, (amount * rate).round(2))
    style, devices = rng.random(len(victims))[campaign], rng.integers(1, 2**64, len(victims), np.uint64)[campaign]
    rotating = rng.integers(1, 2**64, len(made), np.uint64)
    made["device"] = np.select([style < 0.6, style < 0.8], [devices, rotating], np.uint64(0))
    return made


def _purchases(rng: np.random.Generator, population: Population, victims: Array, start: Array) -> Array:
    sizes = np.where(rng.random(len(victims)) < CASHED, rng.integers(1, 4, len(victims)), 0)
    campaign, _ = repeated(sizes)
    made = drafts(len(campaign))
    made["customer"], made["channel"] = victims[campaign], ONLINE
    made["time"] = start[campaign] + (rng.uniform(30, 150, len(made)) * MINUTE_MS).astype(np.int64)
    made["merchant"] = _shops(rng, population, CASHED_AT, (len(made),))
    rate = PER_EURO[population.customers.table["country"][made["customer"]]]
    category = population.merchants.table["category"][made["merchant"]]
    made["amount"] = rounded(rng, rng.lognormal(5.3, 0.6, len(made)) * rate, category)
    made["device"] = rng.integers(1, 2**64, len(made), np.uint64)
    return made


def _shops(rng: np.random.Generator, population: Population, categories: list[int], shape: tuple[int, ...]) -> Array:
    place = rng.choice(np.flatnonzero(population.places["kind"] == WEB), int(np.prod(shape)))
    return population.merchants.choose(rng, place, rng.choice(categories, len(place))).reshape(shape)


CARD_TESTING: Final = Scenario("card_testing", play, share=0.40, size=(FEWEST + MOST) / 2 + 2 * CASHED)
