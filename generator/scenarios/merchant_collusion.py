"""Merchant collusion: a merchant charges cards for goods that do not exist.

What the fraudster does: owns a shop, or shares in the proceeds of one. For a few days its terminal takes payments from
stolen card numbers, or from cardholders who are in on it and will dispute them; the acquirer pays out, the shop closes.
(Refund collusion is its mirror image; refunds are no payments, and are not in this traffic.)

What it looks like in the data: one shop in one city, and within two to four days 12 to 24 chip payments of different
customers of that city who have hardly ever been there, in its opening hours. Crude charges are large and round; careful
ones are what such a shop may well take.

Source: Mastercard, "Security Rules and Procedures - Merchant Edition", Questionable Merchant Audit Program (QMAP).
"""

from typing import Final

import numpy as np

from generator.arrays import Array
from generator.categories import numbers
from generator.drafts import CHIP, HOUR_MS, drafts
from generator.places import PER_EURO
from generator.population import Population
from generator.scenarios.parts import amounts, city_of, neighbours, shops_at
from generator.scenarios.scenario import Scenario, Style, repeated

FEWEST, MOST = 12, 24
CHARGED_AT = numbers("electronics", "clothing", "home", "health", "restaurant")
ROUND_EURO = np.array([200, 250, 300, 400, 500, 600, 800, 1000])
OPENS, OPEN_HOURS = 11, 6


def play(rng: np.random.Generator, population: Population, victims: Array, start: Array, style: Style) -> Array:
    """A colluding merchant in the city of each first victim (n,), from the day of its start (n,) on."""
    n = len(victims)
    campaign, _ = repeated(style.sizes(rng, FEWEST, MOST, n))
    made = drafts(len(campaign))
    city = city_of(population, victims)
    shop = shops_at(rng, population, city, CHARGED_AT)
    made["campaign"], made["channel"], made["merchant"] = campaign, CHIP, shop[campaign]
    made["customer"] = neighbours(rng, population, city[campaign])
    opens = (start // (24 * HOUR_MS) + 1) * 24 + OPENS - population.utc_offsets[city]
    day = (rng.uniform(2, 4.999, n)[campaign] * rng.random(len(made))).astype(np.int64)
    within = (rng.random(len(made)) * OPEN_HOURS * HOUR_MS).astype(np.int64)
    made["time"] = (opens[campaign] + 24 * day) * HOUR_MS + within
    crude = rng.random(len(made)) < style.of(0.95, 0.48, 0.03)
    rate = PER_EURO[population.customers.table["country"][made["customer"]]]
    whole = np.maximum(np.round(rng.choice(ROUND_EURO, len(made)) * rate / 50), 1) * 50
    made["amount"] = np.where(crude, whole, amounts(rng, population, made, 2.5))
    return made


MERCHANT_COLLUSION: Final = Scenario(
    "merchant_collusion",
    play,
    share=0.0696,
    size=(FEWEST + MOST) / 2,
    rule=lambda t: (t["channel"] == "chip") * (t["amount"] % 50 == 0) * t["amount_ratio"],
    tampers=frozenset(
        {
            "log_amount_ratio",
            "roundness",
            "new_merchant",
            "new_category",
            "amount_z",
            "amount_ratio",
            "log_amount",
        }
    ),
    hours=7 * 24,
)
