"""What things cost: amounts by category, merchant and customer."""

import numpy as np

from generator.arrays import Array
from generator.categories import BIG, CATEGORIES, MEDIANS, ROUNDINGS, SPREADS, numbers
from generator.places import PER_EURO
from generator.population import Population

BIG_PURCHASES = 0.012  # of the purchases in categories where they happen
LARGEST_EURO = 12_000.0
ZERO_CHECKS = 0.015  # of online subscriptions, travel and games: the shop asks whether the card is valid
JUST_BELOW = 0.35  # of prices in shops end in .99 or so

_CHECKED = np.isin(np.arange(len(CATEGORIES)), numbers("subscription", "travel", "games"))


def priced(
    rng: np.random.Generator, population: Population, customer: Array, merchant: Array, prices: float = 1.0
) -> Array:
    """Honest amounts (n,), in each customer's currency: what this customer pays at this merchant.

    prices: what prices have become, relative to the usual ones.
    """
    people, shops = population.customers.table[customer], population.merchants.table[merchant]
    category, n = shops["category"], len(customer)
    rate = PER_EURO[people["country"]]
    amount = prices * (
        MEDIANS[category] * shops["price"] * people["spending"] * np.exp(SPREADS[category] * rng.standard_normal(n))
    )
    big = BIG[category] & (rng.random(n) < BIG_PURCHASES)
    amount = np.where(big, amount * rng.uniform(4, 14, n), amount)
    amount = rounded(rng, amount.clip(0.5 * rate, LARGEST_EURO * rate), category)
    return np.where(_CHECKED[category] & (rng.random(n) < ZERO_CHECKS), 0.0, amount)


def rounded(rng: np.random.Generator, amount: Array, category: Array) -> Array:
    """Amounts (n,) as people meet them: multiples of the category's step, in shops often just below a whole number."""
    step = ROUNDINGS[category]
    near = np.maximum(np.round(amount / step), 1) * step
    just_below = (step == 0.01) & (amount > 2) & (rng.random(len(amount)) < JUST_BELOW)
    return np.where(just_below, np.ceil(amount) - 0.01, near).round(2)
