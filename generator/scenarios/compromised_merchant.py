"""Compromised merchant: card data leaks at one merchant, and weeks later the cards are used elsewhere.

What the fraudster does: manipulates a shop's terminal, or buys what an intruder has copied from its systems; waits until
the leak is no longer connected with what follows; then uses the details of several cards, each for a few purchases online, or
writes them on blank cards for shops nearby.

What it looks like in the data: 4 to 8 regular customers of one merchant, and nothing else in common; one to three weeks
after they paid there, 2 to 4 purchases each within hours at shops that they have never visited. Crude ones are online,
without a named device, and of several times the usual amount; careful ones imitate a new phone, or are in the
victim's own city, for ordinary amounts. The leaking merchant itself looks as always.

Source: Le Borgne, Siblini, Lebichot and Bontempi 2022, "Reproducible Machine Learning for Credit Card Fraud Detection -
Practical Handbook", Université Libre de Bruxelles, chapter 3: scenarios 2 (terminals) and 3 (card-not-present leaks).
"""

from typing import Final

import numpy as np

from generator.arrays import Array
from generator.categories import numbers
from generator.drafts import CONTACTLESS, HOUR_MS, ONLINE
from generator.population import Population
from generator.scenarios.parts import amounts, city_of, laid_out, online_shops, shops_at, spread_out, strange_devices
from generator.scenarios.scenario import STRANGE_PURCHASE, Scenario, Style, repeated

CARDS_FEWEST, CARDS_MOST = 4, 8
FEWEST, MOST = 2, 4
SOONEST_DAYS, LATEST_DAYS = 7, 25
ONLINE_AT = numbers("marketplace", "fashion", "gift_cards", "travel")
NEARBY = numbers("groceries", "electronics", "clothing", "fuel")


def play(rng: np.random.Generator, population: Population, victims: Array, start: Array, style: Style) -> Array:
    """A leak at one merchant of each first victim (n,), at its start (n,), and what is done with the cards afterwards."""
    cards, leak = _cards(rng, population, victims)
    plain = rng.random(len(victims)) < style.of(0.95, 0.55, 0.03)
    sizes = style.sizes(rng, FEWEST, MOST, len(cards))
    made, card, _ = laid_out(cards, sizes)
    made["campaign"] = leak[card]
    used = start[leak] + (rng.uniform(SOONEST_DAYS, LATEST_DAYS, len(cards)) * 24 * HOUR_MS).astype(np.int64)
    made["time"] = used[card] + spread_out(rng, card, rng.uniform(0.2, 5.0, len(cards)) * HOUR_MS)
    crude = plain[made["campaign"]]
    online = crude | (rng.random(len(cards)) < 0.6)[card]
    made["channel"] = np.where(online, ONLINE, CONTACTLESS)
    nearby = shops_at(rng, population, city_of(population, made["customer"]), NEARBY)
    made["merchant"] = np.where(online, online_shops(rng, population, ONLINE_AT, len(made)), nearby)
    made["amount"] = amounts(rng, population, made, np.where(crude, rng.uniform(2, 7, len(made)), 1.6))
    nameless = crude & (rng.random(len(made)) < 0.85)
    made["device"] = np.where(online & ~nameless, strange_devices(rng, len(cards))[card], 0)
    return made


def _cards(rng: np.random.Generator, population: Population, victims: Array) -> tuple[Array, Array]:
    """The customers (cards,) whose cards leak, and from which leak: regulars of one of each first victim's favourites."""
    merchants, regulars = population.regulars
    where = population.customers.favourites[victims, rng.integers(0, 3, len(victims))]
    first = np.searchsorted(merchants, where)
    many = np.searchsorted(merchants, where, side="right") - first
    leak, _ = repeated(rng.integers(CARDS_FEWEST, CARDS_MOST + 1, len(victims)))
    cards: Array = regulars[first[leak] + (many[leak] * rng.random(len(leak))).astype(np.int64)]
    return cards, leak


COMPROMISED_MERCHANT: Final = Scenario(
    "compromised_merchant",
    play,
    share=0.1218,
    size=(CARDS_FEWEST + CARDS_MOST) / 2 * (FEWEST + MOST) / 2,
    rule=lambda t: (t["channel"] == "online") * (t["device_id"] == "") * t["log_amount"],
    tampers=STRANGE_PURCHASE | {"first_countries_24h", "first_merchants_24h", "count_1h", "sum_1h"},
    hours=(LATEST_DAYS + 1) * 24,
)
