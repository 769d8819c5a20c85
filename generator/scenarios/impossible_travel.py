"""Impossible travel: a cloned card is used far from where its owner has just paid.

What the fraudster does: copies card and PIN at a manipulated terminal or cash machine and sells the copy, often to several
buyers; they draw cash and buy goods abroad, where the magnetic stripe is still accepted, until the card is blocked. The
owner knows nothing and goes on. Careful ones use it in one neighbouring country, hours later, for ordinary amounts.

What it looks like in the data: after a purchase at home, 2 to 5 payments in cities hundreds or thousands of kilometres away,
at cash machines and shops that the customer has never visited; no device. Where copies went to several buyers, each payment
is in another city, and each change of place would take a speed that no traveller reaches; so would going home in between.

Source: Fawcett and Provost 1997, "Adaptive Fraud Detection", Data Mining and Knowledge Discovery 1, 291-316, on collision
and velocity checks against cloned phones; the same check is used for cards.
"""

from typing import Final

import numpy as np

from generator.arrays import Array, pick
from generator.categories import CASH, numbers
from generator.drafts import ATM, CHIP, HOUR_MS
from generator.places import COUNTRIES, distance_km
from generator.population import Population
from generator.scenarios.parts import amounts, city_of, laid_out
from generator.scenarios.scenario import Scenario, Style, cumulated

FEWEST, MOST = 2, 5
USED_AT = numbers("electronics", "clothing", "fuel", "groceries", "home")
MACHINE = 0.4  # of the transactions


def play(rng: np.random.Generator, population: Population, victims: Array, start: Array, style: Style) -> Array:
    """A cloned card of each victim (n,), used after the genuine purchase at its start (n,)."""
    n = len(victims)
    sizes = style.sizes(rng, FEWEST, MOST, n)
    made, campaign, number = laid_out(victims, sizes)
    careful = rng.random(n) >= style.of(0.98, 0.7, 0.02)
    drawn_from = style.of(3, 3, 10)  # cities, of which a careful one takes the nearest
    sold_on = ~careful & (rng.random(n) < style.of(0.9, 0.25, 0.0))
    first = np.where(careful, rng.uniform(4, 8, n), rng.lognormal(0, 1.0, n).clip(0.1, 6)) * HOUR_MS
    gaps = rng.exponential(0.3 * HOUR_MS, len(made)).clip(20_000, 0.5 * HOUR_MS) * (number > 0)
    gaps *= np.minimum(1.0, 6 / sizes)[campaign]
    made["time"] = start[campaign] + (first[campaign] + cumulated(gaps, sizes)).astype(np.int64)
    machine = rng.random(len(made)) < MACHINE
    made["channel"] = np.where(machine, ATM, CHIP)
    category = np.where(machine, CASH, rng.choice(USED_AT, len(made)))
    one_city = _places(rng, population, victims, careful, drawn_from)[campaign]
    cities = np.where(
        sold_on[campaign], _places(rng, population, made["customer"], careful[campaign], drawn_from), one_city
    )
    made["merchant"] = population.merchants.choose(rng, cities, category)
    times = np.where(rng.random(len(made)) < 0.5, 1.0, rng.uniform(2, 6, len(made)))
    made["amount"] = amounts(rng, population, made, np.where(careful[campaign], 1.0, times))
    return made


def _places(rng: np.random.Generator, population: Population, victims: Array, near: Array, drawn_from: int) -> Array:
    """A city (n,) where each victim's clone is used: far away, or where others travel but not in the victim's own country."""
    cities, n = population.cities, len(victims)
    places = population.places[cities]
    far = np.array([country.far for country in COUNTRIES])[places["country"]]
    drawn, distant = (
        pick(rng, places["visits"], n * drawn_from).reshape(n, drawn_from),
        pick(rng, places["visits"] * far, n),
    )
    home = population.places[city_of(population, victims)][:, None]
    km = distance_km(home["latitude"], home["longitude"], places["latitude"][drawn], places["longitude"][drawn])
    abroad = drawn[np.arange(n), km.argmin(axis=1)]
    foreign = near & (places["country"][abroad] != population.customers.table["country"][victims])
    chosen: Array = cities[np.where(foreign, abroad, distant)]
    return chosen


IMPOSSIBLE_TRAVEL: Final = Scenario(
    "impossible_travel",
    play,
    share=0.0696,
    size=(FEWEST + MOST) / 2,
    rule=lambda t: t["speed_kmh"] * t["distance_km"],
    tampers=frozenset(
        {
            "country_share",
            "first_countries_24h",
            "first_merchants_24h",
            "speed_kmh",
            "distance_km",
            "new_country",
            "new_merchant",
        }
    ),
    after_purchase=True,
)
