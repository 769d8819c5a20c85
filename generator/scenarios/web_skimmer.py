"""Web skimmer: a web shop's pages copy its customers' cards, which for weeks are used at a few other shops.

What the fraudster does: hides a script in the payment page of a shop, which sends away each card that is entered and what
identifies the customer's browser; then spends card after card where the goods can be turned into money. Careful ones
imitate the customer's own device and amounts, and spread what they buy over many shops.

What it looks like in the data: 30 to 50 purchases within three to six weeks at two web shops, of customers who have nothing in
common but another shop, which itself looks as always. About half of the purchases are made from devices never seen before, or
name none, and cost several times the usual amount; of the others nothing is unusual but the complaints at these two shops.

Source: PCI Security Standards Council and Retail & Hospitality ISAC, joint bulletin "The Threat of Online Skimming to Payment
Security" (2019), on Magecart.
"""

from typing import Final

import numpy as np

from generator.arrays import Array, pick
from generator.categories import numbers
from generator.customers import FAVOURITES
from generator.devices import device_of
from generator.drafts import HOUR_MS, ONLINE, drafts
from generator.places import WEB
from generator.population import Population
from generator.scenarios.bust_out import awake
from generator.scenarios.parts import amounts, any_of, quiet_shops, strange_devices, visitors
from generator.scenarios.scenario import STRANGE_PURCHASE, Scenario, Style, repeated

FEWEST, MOST = 30, 50
SOONEST_DAYS, DAYS = 2, (24, 38)
NAMELESS = 0.4  # of the purchases by crude ones
USED_AT = numbers("marketplace", "fashion", "games", "gift_cards", "travel")


def play(rng: np.random.Generator, population: Population, victims: Array, start: Array, style: Style) -> Array:
    """A script in a favourite web shop of each first victim (n,), from its start (n,) on, and what is done with the cards."""
    n, places = len(victims), population.places
    favourites = population.customers.favourites[:, FAVOURITES[WEB]]
    leaking = favourites[victims, rng.integers(0, favourites.shape[1], n)]
    place = pick(rng, places["weight"] * (places["kind"] == WEB), n)
    used_at = quiet_shops(rng, population, place, USED_AT, style.of(1, 2, 20))
    campaign, _ = repeated(style.sizes(rng, FEWEST, MOST, n))
    made = drafts(len(campaign))
    made["campaign"], made["channel"], made["merchant"] = campaign, ONLINE, any_of(rng, used_at, campaign)
    made["customer"] = visitors(rng, population.online_regulars, leaking[campaign], victims[campaign])
    days = SOONEST_DAYS + rng.uniform(*DAYS, n)[campaign] * rng.random(len(made))
    made["time"] = awake(start[campaign] + (days * 24 * HOUR_MS).astype(np.int64))
    plain = rng.random(len(made)) < style.of(0.95, 0.5, 0.03)
    made["amount"] = amounts(rng, population, made, np.where(plain, rng.uniform(2.0, 6.0, len(made)), 1.0))
    strange = np.where(rng.random(len(made)) < NAMELESS, np.uint64(0), strange_devices(rng, len(made)))
    own = device_of(population, made["customer"], made["time"], np.zeros(len(made), bool))
    made["device"] = np.where(plain, strange, own)
    return made


WEB_SKIMMER: Final = Scenario(
    "web_skimmer",
    play,
    share=0.03,
    size=(FEWEST + MOST) / 2,
    rule=lambda t: (t["channel"] == "online") * t["merchant_chargebacks"] * (t["new_device"] + (t["device_id"] == "")),
    tampers=STRANGE_PURCHASE,
    hours=(SOONEST_DAYS + DAYS[1] + 1) * 24,
    across=True,
)
