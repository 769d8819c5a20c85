"""Friendly fraud: the cardholder buys something, has it, and then disputes the payment.

What the fraudster does: is the customer. Buys online what is delivered at once or sells well, and later claims at the bank that
it was another person; or a child buys, and a parent disputes.

What it looks like in the data: one to three online purchases of games, gift cards, fashion, journeys or goods, by day and
evening, from the customer's own device, often at a shop that the customer knows. Bold ones cost as much as a new phone;
modest ones are purchases like any other, and no detector of unusual behaviour can know them.

Source: Visa Core Rules and Visa Product and Service Rules, dispute condition 10.4 (Other Fraud - Card-Absent Environment),
and the evidence that Visa lets merchants bring against it since 2023 (Compelling Evidence 3.0).
"""

from typing import Final

import numpy as np

from generator.arrays import Array
from generator.categories import numbers
from generator.customers import FAVOURITES
from generator.devices import device_of
from generator.drafts import HOUR_MS, ONLINE
from generator.places import WEB
from generator.population import Population
from generator.scenarios.bust_out import awake
from generator.scenarios.parts import amounts, laid_out, online_shops, spread_out
from generator.scenarios.scenario import Scenario, Style

FEWEST, MOST = 1, 3
KNOWN_SHOP = 0.4
BOUGHT = numbers("games", "gift_cards", "fashion", "travel", "marketplace")


def play(rng: np.random.Generator, population: Population, victims: Array, start: Array, style: Style) -> Array:
    """Purchases that each customer (n,) will dispute, from its start (n,) on."""
    n = len(victims)
    made, campaign, _ = laid_out(victims, style.sizes(rng, FEWEST, MOST, n))
    bold = (rng.random(n) < style.of(0.97, 0.65, 0.03))[campaign]
    made["channel"] = ONLINE
    made["time"] = awake(start[campaign] + spread_out(rng, campaign, rng.uniform(0.3, 8.0, n) * HOUR_MS))
    column = rng.integers(FAVOURITES[WEB].start, FAVOURITES[WEB].stop, len(made))
    known = population.customers.favourites[made["customer"], column]
    new = online_shops(rng, population, BOUGHT, len(made))
    made["merchant"] = np.where(rng.random(len(made)) < KNOWN_SHOP, known, new)
    spending = population.customers.table["spending"][made["customer"]]
    dear = np.round(650 * spending * rng.lognormal(0.0, 0.5, len(made)))
    made["amount"] = np.where(bold, dear, amounts(rng, population, made, 1.0))
    made["device"] = device_of(population, made["customer"], made["time"], np.zeros(len(made), bool))
    return made


FRIENDLY_FRAUD: Final = Scenario(
    "friendly_fraud",
    play,
    share=0.087,
    size=(FEWEST + MOST) / 2,
    rule=lambda t: (t["channel"] == "online") * t["amount_ratio"],
    tampers=frozenset({"sum_1h", "log_amount_ratio", "roundness", "amount_z", "amount_ratio", "log_amount", "sum_24h"}),
    hours=2 * 24,
)
