"""Impossible travel: a cloned card is used far from where its owner has just paid.

What the fraudster does: copies card and PIN at a manipulated terminal or cash machine; partners abroad, where the magnetic
stripe is still accepted, draw cash and buy goods with the clone until it is blocked. The owner knows nothing and goes on.

What it looks like in the data: minutes to hours after a purchase at home, 2 to 7 payments in a city thousands of kilometres
away (sometimes only a neighbouring country), at cash machines and shops that the customer has never visited; no device;
amounts from ordinary to several times the usual ones. Between them, and afterwards, honest payments at home: each change
of place would take a speed that no traveller reaches. Some begin so late that an aeroplane could have made it.

Source: Fawcett and Provost 1997, "Adaptive Fraud Detection", Data Mining and Knowledge Discovery 1, 291-316, on collision
and velocity checks against cloned phones; the same check is used for cards.
"""

from typing import Final

import numpy as np

from generator.amounts import LARGEST_EURO, rounded
from generator.arrays import Array, pick
from generator.categories import CASH, MEDIANS, numbers
from generator.drafts import ATM, CHIP, HOUR_MS, drafts
from generator.places import COUNTRIES, PER_EURO
from generator.population import Population
from generator.scenarios.scenario import Scenario, cumulated, repeated

FEWEST, MOST = 2, 7
NEAR = 0.2  # of the campaigns: in any country that customers travel to, instead of one far away
USED_AT = numbers("electronics", "clothing", "fuel", "groceries", "home")
MACHINE = 0.4  # of the transactions


def play(rng: np.random.Generator, population: Population, victims: Array, start: Array) -> Array:
    """A cloned card of each victim (n,), used after the genuine purchase at its start (n,)."""
    n = len(victims)
    sizes = rng.integers(FEWEST, MOST + 1, n)
    campaign, _ = repeated(sizes)
    made = drafts(len(campaign))
    made["customer"] = victims[campaign]
    first = start + (rng.lognormal(0, 1.0, n).clip(0.1, 8) * HOUR_MS).astype(np.int64)
    gaps = rng.exponential(0.3 * HOUR_MS, len(made)).clip(20_000, 0.5 * HOUR_MS)
    made["time"] = first[campaign] + cumulated(gaps, sizes).astype(np.int64)
    machine = rng.random(len(made)) < MACHINE
    made["channel"] = np.where(machine, ATM, CHIP)
    category = np.where(machine, CASH, rng.choice(USED_AT, len(made)))
    made["merchant"] = population.merchants.choose(rng, _places(rng, population, victims)[campaign], category)
    made["amount"] = _amounts(rng, population, made, category)
    return made


def _places(rng: np.random.Generator, population: Population, victims: Array) -> Array:
    """The city (n,) where each victim's clone is used: far away, or near but never in the victim's own country."""
    cities, n = population.cities, len(victims)
    places = population.places[cities]
    far = np.array([country.far for country in COUNTRIES])[places["country"]]
    abroad, distant = pick(rng, places["visits"], n), pick(rng, places["visits"] * far, n)
    near = (rng.random(n) < NEAR) & (places["country"][abroad] != population.customers.table["country"][victims])
    return cities[np.where(near, abroad, distant)]


def _amounts(rng: np.random.Generator, population: Population, made: Array, category: Array) -> Array:
    people = population.customers.table[made["customer"]]
    usual = MEDIANS[category] * people["spending"] * rng.lognormal(0, 0.5, len(made))
    times = np.where(rng.random(len(made)) < 0.5, 1.0, rng.uniform(2, 6, len(made)))
    return rounded(rng, (usual * times).clip(max=LARGEST_EURO * PER_EURO[people["country"]]), category)


IMPOSSIBLE_TRAVEL: Final = Scenario(
    "impossible_travel", play, share=0.25, size=(FEWEST + MOST) / 2, after_purchase=True
)
