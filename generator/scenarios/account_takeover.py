"""Account takeover: a fraudster gets into a customer's online banking and empties the account.

What the fraudster does: logs in with phished or bought credentials from a device of their own (or steers the customer's own
device from afar), perhaps tries a small transfer first, then moves the money out: transfers to one or two accounts of money
mules, and online purchases of what sells well.

What it looks like in the data: 4 to 12 transfers and online payments of one customer within an hour, often at night; most
are several times what the customer usually pays, some are as usual; payees and shops that the customer has never paid
before; mostly a device never seen before. No places, since nothing happens in a shop.

Source: FinCEN Advisory FIN-2011-A016, "Account Takeover Activity" (2011); for device and payee changes as red flags, FinCEN
Advisory FIN-2020-A005 (2020).
"""

from typing import Final

import numpy as np

from generator.amounts import LARGEST_EURO, rounded
from generator.arrays import Array, pick
from generator.categories import MEDIANS, numbers
from generator.drafts import HOUR_MS, ONLINE, TRANSFER, drafts
from generator.places import BANK, PER_EURO, WEB
from generator.population import Population
from generator.scenarios.scenario import Scenario, repeated
from generator.traffic import device_of

FEWEST, MOST = 4, 12
OWN_DEVICE = 0.15  # of the campaigns: the customer's device is steered from afar
TRANSFERS = 0.6  # of the transactions; the rest are purchases
USUAL = 0.2  # of the transactions have an amount that the customer might have paid
BOUGHT = numbers("marketplace", "gift_cards", "travel")
PAYEE = numbers("transfer")[0]


def play(rng: np.random.Generator, population: Population, victims: Array, start: Array) -> Array:
    """An account takeover of each victim (n,) from its start (n,) on."""
    n = len(victims)
    sizes = rng.integers(FEWEST, MOST + 1, n)
    campaign, number = repeated(sizes)
    made = drafts(len(campaign))
    made["customer"] = victims[campaign]
    lasts = rng.uniform(0.15, 0.95, n) * HOUR_MS
    time = start[campaign] + (lasts[campaign] * rng.random(len(made))).astype(np.int64)
    made["time"] = time[np.lexsort((time, campaign))]
    transfer = rng.random(len(made)) < TRANSFERS
    made["channel"] = np.where(transfer, TRANSFER, ONLINE)
    mules = _merchants(rng, population, BANK, [PAYEE], 2 * n).reshape(n, 2)
    shops = _merchants(rng, population, WEB, BOUGHT, len(made))
    made["merchant"] = np.where(transfer, mules[campaign, rng.integers(0, 2, len(made))], shops)
    made["amount"] = _amounts(rng, population, made, number)
    strange = rng.integers(1, 2**64, n, np.uint64)
    own = device_of(population, victims, start, np.zeros(n, bool))
    made["device"] = np.where(rng.random(n) < OWN_DEVICE, own, strange)[campaign]
    return made


def _merchants(rng: np.random.Generator, population: Population, kind: int, categories: list[int], n: int) -> Array:
    places = population.places
    place = pick(rng, places["weight"] * (places["kind"] == kind), n)
    return population.merchants.choose(rng, place, rng.choice(categories, n))


def _amounts(rng: np.random.Generator, population: Population, made: Array, number: Array) -> Array:
    people = population.customers.table[made["customer"]]
    category = population.merchants.table["category"][made["merchant"]]
    usual = MEDIANS[category] * people["spending"] * rng.lognormal(0, 0.6, len(made))
    large = 380 * people["spending"] * rng.lognormal(0, 0.7, len(made))
    amount = np.where(rng.random(len(made)) < USUAL, usual, large)
    tries = (number == 0) & (rng.random(len(made)) < 0.4)
    amount = np.where(tries, PER_EURO[people["country"]] * rng.uniform(1, 10, len(made)), amount)
    return rounded(rng, amount.clip(max=LARGEST_EURO * PER_EURO[people["country"]]), category)


ACCOUNT_TAKEOVER: Final = Scenario("account_takeover", play, share=0.35, size=(FEWEST + MOST) / 2)
