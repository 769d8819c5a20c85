"""Account takeover: a fraudster gets into a customer's online banking and empties the account.

What the fraudster does: logs in with phished or bought credentials from a device of their own (or controls the customer's own
device remotely), perhaps tries a small transfer first, then moves the money out: transfers to one or two accounts of money
mules, and online purchases of what sells well. Careful ones take hours and keep to amounts that the customer might pay.

What it looks like in the data: 4 to 12 transfers and online payments of one customer within an hour, often at night; most
are several times what the customer usually pays, some are as usual; payees and shops that the customer has never paid
before; mostly a device never seen before. No places, since nothing happens in a shop.

Source: FinCEN Advisory FIN-2011-A016, "Account Takeover Activity" (2011); for device and payee changes as red flags, FinCEN
Advisory FIN-2020-A005 (2020).
"""

from typing import Final

import numpy as np

from generator.arrays import Array
from generator.categories import numbers
from generator.devices import device_of
from generator.drafts import HOUR_MS, ONLINE, TRANSFER
from generator.population import Population
from generator.scenarios.parts import amounts, laid_out, online_shops, payees, spread_out, strange_devices, sums
from generator.scenarios.scenario import Scenario, Style

FEWEST, MOST = 4, 12
OWN_DEVICE = 0.15  # of the campaigns: the customer's device is controlled remotely
TRANSFERS = 0.6  # of the transactions; the rest are purchases
BOUGHT = numbers("marketplace", "gift_cards", "travel")


def play(rng: np.random.Generator, population: Population, victims: Array, start: Array, style: Style) -> Array:
    """An account takeover of each victim (n,) from its start (n,) on."""
    n = len(victims)
    made, campaign, number = laid_out(victims, style.sizes(rng, FEWEST, MOST, n))
    crude = rng.random(n) < style.of(0.95, 0.6, 0.03)
    lasts = np.where(crude, rng.uniform(0.15, 0.95, n), rng.uniform(4.0, 11.0, n)) * HOUR_MS
    made["time"] = start[campaign] + spread_out(rng, campaign, lasts)
    transfer = rng.random(len(made)) < TRANSFERS
    made["channel"] = np.where(transfer, TRANSFER, ONLINE)
    mules = payees(rng, population, 2 * n).reshape(n, 2)
    shops = online_shops(rng, population, BOUGHT, len(made))
    made["merchant"] = np.where(transfer, mules[campaign, rng.integers(0, 2, len(made))], shops)
    spending = population.customers.table["spending"][made["customer"]]
    large = 300 * spending * rng.lognormal(0, 0.7, len(made))
    plain = rng.random(len(made)) < np.where(crude[campaign], 0.8, 0.35)
    tries = (number == 0) & (rng.random(len(made)) < 0.4)
    usual = amounts(rng, population, made, np.where(crude, 1.0, 1.6)[campaign])
    made["amount"] = np.select([tries, plain], [sums(rng, population, made, 5.0, 0.5), large.round()], usual)
    own = device_of(population, victims, start, np.zeros(n, bool))
    made["device"] = np.where(rng.random(n) < OWN_DEVICE, own, strange_devices(rng, n))[campaign]
    return made


ACCOUNT_TAKEOVER: Final = Scenario(
    "account_takeover",
    play,
    share=0.1305,
    size=(FEWEST + MOST) / 2,
    rule=lambda t: np.isin(t["channel"], ("online", "transfer")) * t["sum_1h"] * t["amount_ratio"] / (1 + t["amount"]),
    tampers=frozenset(
        {
            "first_countries_24h",
            "count_10m",
            "log_seconds_since_previous",
            "first_merchants_24h",
            "log_amount_ratio",
            "log_device_age_seconds",
            "sum_1h",
            "count_1h",
            "sum_24h",
            "log_amount",
            "amount_z",
            "amount_ratio",
            "new_merchant",
            "new_device",
        }
    ),
)
