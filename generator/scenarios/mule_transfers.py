"""Mule transfers: stolen money comes in and leaves at once.

What the fraudster does: recruits people who lend their account for a commission. Money stolen elsewhere is transferred to
them, and before anybody asks for it back they pass it on: to the next account, or as cash.

What it looks like in the data: one transfer that comes in, larger than what the customer usually moves; crude mules pass on
nearly all of it within three quarters of an hour, in one to three transfers to payees never paid before, or at a cash
machine nearby; careful ones wait for hours and pass on a part, in amounts as they are usual for transfers. The device is the
customer's own.

Source: Lopez-Rojas, Elmir and Axelsson 2016, "PaySim: A financial mobile money simulator for fraud detection", EMSS 2016
(a fraudulent transfer is cashed out at once); Europol, European Money Mule Action (EMMA).
"""

from typing import Final

import numpy as np

from generator.arrays import Array, pick
from generator.categories import CASH, INCOMING
from generator.devices import device_of
from generator.drafts import ATM, HOUR_MS, TRANSFER
from generator.places import BANK, PER_EURO
from generator.population import Population
from generator.scenarios.parts import city_of, laid_out, payees, shops_at, spread_out
from generator.scenarios.scenario import MINUTE_MS, Scenario, Style

FEWEST_OUT, MOST_OUT = 1, 3
CASHED = 0.3  # of the payments out


def play(rng: np.random.Generator, population: Population, victims: Array, start: Array, style: Style) -> Array:
    """A mule (n,) to whom money comes at its start (n,)."""
    n = len(victims)
    crude = rng.random(n) < style.of(0.97, 0.7, 0.05)
    rate = PER_EURO[population.customers.table["country"][victims]]
    euro = np.where(crude, 1_200.0, 400.0) * rng.lognormal(0.0, 0.6, n)

    came, _, _ = laid_out(victims, np.ones(n, np.int64))
    came["time"], came["channel"], came["amount"] = start, TRANSFER, (euro * rate).round()
    places = population.places
    sender = pick(rng, places["weight"] * (places["kind"] == BANK), n)
    came["merchant"] = population.merchants.choose(rng, sender, np.full(n, INCOMING))

    sizes = style.sizes(rng, FEWEST_OUT, MOST_OUT, n)
    left, campaign, _ = laid_out(victims, sizes)
    waits = np.where(crude, rng.uniform(3, 15, n), rng.uniform(90, 300, n)) * MINUTE_MS
    lasts = np.where(crude, 0.5, 5.0) * HOUR_MS
    left["time"] = start[campaign] + waits[campaign].astype(np.int64) + spread_out(rng, campaign, lasts)
    cash = rng.random(len(left)) < CASHED
    left["channel"] = np.where(cash, ATM, TRANSFER)
    machines = shops_at(rng, population, city_of(population, left["customer"]), [CASH])
    left["merchant"] = np.where(cash, machines, payees(rng, population, len(left)))
    share = np.where(crude, 0.93, rng.uniform(0.4, 0.8, n)) / sizes
    amount = (euro * rate * share)[campaign] * rng.uniform(0.9, 1.1, len(left))
    left["amount"] = np.maximum(np.where(cash, np.round(amount / 10) * 10, amount.round()), 10)
    own = device_of(population, left["customer"], left["time"], np.zeros(len(left), bool))
    left["device"] = np.where(cash, 0, own)
    return np.concatenate([came, left])


MULE_TRANSFERS: Final = Scenario(
    "mule_transfers",
    play,
    share=0.087,
    size=1 + (FEWEST_OUT + MOST_OUT) / 2,
    rule=lambda t: np.isin(t["channel"], ("transfer", "atm")) * (t["merchant_category"] != "incoming") * t["sum_1h"],
    tampers=frozenset(
        {
            "first_countries_24h",
            "channel_count_24h",
            "first_merchants_24h",
            "log_amount_ratio",
            "sum_1h",
            "sum_24h",
            "amount_z",
            "amount_ratio",
            "log_amount",
            "new_merchant",
        }
    ),
)
