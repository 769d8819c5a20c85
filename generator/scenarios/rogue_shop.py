"""Rogue shop: a web shop opens, takes money for weeks for what never comes, and closes.

What the fraudster does: opens a few shops with good prices, advertises them, and charges whoever orders; what was ordered
does not come, or is worth nothing, or the card is charged again. Customers complain one by one, weeks later. Careful ones
run several shops at once, charge usual amounts, and charge each card three times.

What it looks like in the data: a shop that opened lately and draws new customers as other new shops do, and within three to
six weeks 30 to 50 payments there by different customers of its country, from their own devices, who share nothing else. Two
in five of the payments are larger than is usual in the trade, and half of these are made without the customer's device.

Source: Mastercard, "Security Rules and Procedures - Merchant Edition", Global Merchant Audit Program (GMAP); FBI Internet
Crime Complaint Center, annual Internet Crime Report, non-payment and non-delivery.
"""

from typing import Final

import numpy as np

from generator.arrays import Array
from generator.devices import device_of
from generator.drafts import HOUR_MS, ONLINE, drafts
from generator.openings import latest_shops
from generator.population import Population
from generator.scenarios.bust_out import awake
from generator.scenarios.parts import amounts, any_of, compatriots
from generator.scenarios.scenario import Scenario, Style, repeated

FEWEST, MOST = 30, 50
DAYS = 24, 40
NAMELESS = 0.5  # of the payments at crude ones


def play(rng: np.random.Generator, population: Population, victims: Array, start: Array, style: Style) -> Array:
    """A rogue shop in the country of each first victim (n,), which opened just before its start (n,)."""
    n = len(victims)
    country = population.customers.table["country"][victims]
    shops = latest_shops(population, start, country, style.of(1, 4, 16))
    campaign, number = repeated(style.sizes(rng, FEWEST, MOST, n))
    made = drafts(len(campaign))
    made["campaign"], made["channel"], made["merchant"] = campaign, ONLINE, any_of(rng, shops, campaign)
    made["customer"] = compatriots(rng, population, country[campaign])
    first = np.arange(len(made)) - number % style.of(1, 1, 3)  # of the payments by the same card
    made["merchant"], made["customer"] = made["merchant"][first], made["customer"][first]
    days = rng.uniform(*DAYS, n)[campaign] * rng.random(len(made))
    made["time"] = awake(start[campaign] + (days * 24 * HOUR_MS).astype(np.int64))
    plain = rng.random(len(made)) < style.of(0.95, 0.4, 0.03)
    larger = rng.uniform(*style.of((1.5, 4.0), (1.3, 2.6), (1.3, 2.6)), len(made))
    made["amount"] = amounts(rng, population, made, np.where(plain, larger, 1.0))
    own = device_of(population, made["customer"], made["time"], np.zeros(len(made), bool))
    made["device"] = np.where(plain & (rng.random(len(made)) < NAMELESS), 0, own)
    return made


ROGUE_SHOP: Final = Scenario(
    "rogue_shop",
    play,
    share=0.03,
    size=(FEWEST + MOST) / 2,
    rule=lambda t: (t["channel"] == "online") * t["new_merchant"] * t["merchant_chargebacks"] * t["amount_ratio"],
    tampers=frozenset({"log_amount_ratio", "no_device", "new_merchant", "amount_z", "amount_ratio", "log_amount"}),
    hours=(DAYS[1] + 1) * 24,
    across=True,
)
