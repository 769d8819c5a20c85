"""Category shift: stolen cards are used for some weeks in one category of web shops, then in another.

What the fraudster does: buys stolen cards one by one and uses each once or twice where shops of a kind ask for little and
sell what is easily sold on; word gets round. When these shops have learned, all turn to another kind.

What it looks like in the data: single purchases of customers who share nothing, at shops that share nothing but their
category, which for about four weeks has several times its usual fraud; the change from one category to the next takes two
weeks. Crude ones pay from devices never seen before and for several times the usual amount; careful ones imitate the
customer's own device and pay what is usual.

Source: Dal Pozzolo, Caelen, Le Borgne, Waterschoot and Bontempi 2014, "Learned lessons in credit card fraud detection from a
practitioner perspective", Expert Systems with Applications 41, 4915-4928, on fraud that changes over time.
"""

from typing import Final

import numpy as np

from generator.arrays import Array
from generator.categories import numbers
from generator.devices import device_of
from generator.drafts import HOUR_MS, ONLINE
from generator.population import Population
from generator.randomness import scrambled
from generator.scenarios.bust_out import awake
from generator.scenarios.parts import amounts, laid_out, spread_out, strange_devices, web_place
from generator.scenarios.scenario import STRANGE_PURCHASE, Scenario, Style

FEWEST, MOST = 1, 2
LASTS_DAYS, CHANGE_DAYS = 28, 14
NAMELESS = 0.4  # of the purchases by crude ones
WANTED = np.array(numbers("gift_cards", "travel", "gambling"))


def play(rng: np.random.Generator, population: Population, victims: Array, start: Array, style: Style) -> Array:
    """The card of each victim (n,), used from its start (n,) on in the category that thieves then prefer."""
    n = len(victims)
    crude = rng.random(n) < style.of(0.95, 0.55, 0.03)
    category = preferred(population, start + (rng.uniform(-0.5, 0.5, n) * CHANGE_DAYS * 24 * HOUR_MS).astype(np.int64))
    category = np.where(rng.random(n) < style.of(1.0, 1.0, 0.3), category, rng.choice(WANTED, n))
    made, campaign, _ = laid_out(victims, style.sizes(rng, FEWEST, MOST, n))
    place = web_place(population, population.customers.table["country"][made["customer"]])
    made["channel"], made["merchant"] = ONLINE, population.merchants.choose(rng, place, category[campaign])
    made["time"] = awake(start[campaign] + spread_out(rng, campaign, rng.uniform(0.2, 6.0, n) * HOUR_MS))
    plain = crude[campaign]
    made["amount"] = amounts(rng, population, made, np.where(plain, rng.uniform(2.0, 6.0, len(made)), 1.0))
    strange = np.where(rng.random(n) < NAMELESS, np.uint64(0), strange_devices(rng, n))[campaign]
    own = device_of(population, made["customer"], made["time"], np.zeros(len(made), bool))
    made["device"] = np.where(plain, strange, own)
    return made


def preferred(population: Population, time: Array) -> Array:
    """The category (n,) that thieves prefer at a time (n,) in ms: another one every LASTS_DAYS, in an order that a seed has."""
    number = time // (LASTS_DAYS * 24 * HOUR_MS)
    turn, within = number // len(WANTED), number % len(WANTED)
    step = 1 + (scrambled(turn.astype(np.uint64), population.seed) % np.uint64(len(WANTED) - 1)).astype(np.int64)
    chosen: Array = WANTED[(population.seed + step * within) % len(WANTED)]
    return chosen


CATEGORY_SHIFT: Final = Scenario(
    "category_shift",
    play,
    share=0.025,
    size=(FEWEST + MOST) / 2,
    rule=lambda t: (
        (t["channel"] == "online")
        * t["category_chargebacks"]
        * t["amount_ratio"]
        * (t["new_device"] + (t["device_id"] == ""))
    ),
    tampers=STRANGE_PURCHASE,
    hours=24,
    across=True,
)
