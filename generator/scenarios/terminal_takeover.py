"""Terminal takeover: for weeks, a shop's terminal or a cash machine charges cards that pay there.

What the fraudster does: swaps or manipulates a terminal that nobody watches, copies the cards that are put into it, and
charges them again through the same terminal, so that each charge looks like one more visit. It goes on until enough
cardholders have complained. Careful ones use several terminals of a city and take what people usually pay there.

What it looks like in the data: one terminal, and within three to six weeks 30 to 50 payments in its opening hours by people
of its city, half of whom pay there anyway, and who share nothing else: one charge or a few each. About half of the
charges are several times the usual amount. What is unusual is the number of complaints at this terminal.

Source: PCI Security Standards Council, "Skimming Prevention: Best Practices for Merchants" (version 2.0, 2014); Le Borgne et
al. 2022, "Reproducible Machine Learning for Credit Card Fraud Detection - Practical Handbook", chapter 3, scenario 2.
"""

from typing import Final

import numpy as np

from generator.arrays import Array
from generator.categories import CASH, numbers
from generator.devices import device_of
from generator.drafts import ATM, CHIP, CONTACTLESS, HOUR_MS, drafts
from generator.population import Population
from generator.scenarios.parts import amounts, any_of, city_of, neighbours, quiet_shops, visitors
from generator.scenarios.scenario import Scenario, Style, repeated

FEWEST, MOST = 30, 50
DAYS = 24, 40
REGULAR = 0.5  # of the victims
MANIPULATED = numbers("groceries", "fuel", "restaurant", "clothing", "pharmacy", "transport", "entertainment", "cash")
OPENS, OPEN_HOURS = 11, 8


def play(rng: np.random.Generator, population: Population, victims: Array, start: Array, style: Style) -> Array:
    """A terminal in the city of each first victim (n,) that is bad from the day after its start (n,) on."""
    n = len(victims)
    city = city_of(population, victims)
    terminals = quiet_shops(rng, population, city, MANIPULATED, style.of(1, 1, 12))
    campaign, _ = repeated(style.sizes(rng, FEWEST, MOST, n))
    made = drafts(len(campaign))
    made["campaign"], made["merchant"] = campaign, any_of(rng, terminals, campaign)
    near = neighbours(rng, population, city[campaign])
    regular = visitors(rng, population.city_regulars, made["merchant"], near)
    made["customer"] = np.where(rng.random(len(made)) < REGULAR, regular, near)
    opens = (start // (24 * HOUR_MS) + 1) * 24 + OPENS - population.utc_offsets[city]
    day = (rng.uniform(*DAYS, n)[campaign] * rng.random(len(made))).astype(np.int64)
    within = (rng.random(len(made)) * OPEN_HOURS * HOUR_MS).astype(np.int64)
    made["time"] = (opens[campaign] + 24 * day) * HOUR_MS + within
    crude = rng.random(len(made)) < style.of(0.95, 0.45, 0.03)
    larger = rng.uniform(*style.of((3.0, 9.0), (2.2, 5.0), (2.2, 5.0)), len(made))
    made["amount"] = amounts(rng, population, made, np.where(crude, larger, 1.0))
    _pay(population, made)
    return made


def _pay(population: Population, made: Array) -> None:
    """Fill in channel and device as the terminal reports them: a phone where its owner pays with it."""
    by_phone = population.customers.table["pays_by_phone"][made["customer"]]
    cash = population.merchants.table["category"][made["merchant"]] == CASH
    made["channel"] = np.select([cash, by_phone], [ATM, CONTACTLESS], CHIP)
    own = device_of(population, made["customer"], made["time"], np.zeros(len(made), bool))
    made["device"] = np.where(by_phone & ~cash, own, 0)


TERMINAL_TAKEOVER: Final = Scenario(
    "terminal_takeover",
    play,
    share=0.045,
    size=(FEWEST + MOST) / 2,
    rule=lambda t: (
        np.isin(t["channel"], ("chip", "contactless", "atm")) * t["merchant_chargebacks"] * t["amount_ratio"]
    ),
    tampers=frozenset({"log_amount_ratio", "amount_z", "amount_ratio", "log_amount", "new_merchant"}),
    hours=(DAYS[1] + 3) * 24,
    across=True,
)
