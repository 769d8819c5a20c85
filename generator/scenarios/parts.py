"""What campaigns are put together from: drafts of the victims, shops, devices, amounts."""

import numpy as np

from generator.amounts import LARGEST_EURO, rounded
from generator.arrays import Array, pick
from generator.categories import MEDIANS, numbers
from generator.drafts import drafts
from generator.places import BANK, PER_EURO, WEB
from generator.population import Population
from generator.scenarios.scenario import repeated

PAYEE = numbers("transfer")[0]


def laid_out(victims: Array, sizes: Array) -> tuple[Array, Array, Array]:
    """For campaigns of these sizes (n,) against one victim (n,) each: DRAFTs, whose campaign each is, its number within it."""
    campaign, number = repeated(sizes)
    made = drafts(len(campaign))
    made["customer"], made["campaign"] = victims[campaign], campaign
    return made, campaign, number


def online_shops(rng: np.random.Generator, population: Population, categories: list[int], n: int) -> Array:
    """n online shops of these categories, anywhere in the world."""
    places = population.places
    place = pick(rng, places["weight"] * (places["kind"] == WEB), n)
    return population.merchants.choose(rng, place, rng.choice(categories, n))


def shops_at(rng: np.random.Generator, population: Population, place: Array, categories: list[int]) -> Array:
    """A shop of one of these categories in each city (n,)."""
    return population.merchants.choose(rng, place, rng.choice(categories, len(place)))


def payees(rng: np.random.Generator, population: Population, n: int) -> Array:
    """n people or firms whom money can be transferred to."""
    places = population.places
    place = pick(rng, places["weight"] * (places["kind"] == BANK), n)
    return population.merchants.choose(rng, place, np.full(n, PAYEE))


def city_of(population: Population, customer: Array) -> Array:
    """The home city of each customer (n,)."""
    home: Array = population.customers.table["home"][customer].astype(np.int64)
    return home


def strange_devices(rng: np.random.Generator, n: int) -> Array:
    """n devices that were not seen before."""
    return rng.integers(1, 2**64, n, np.uint64)


def amounts(rng: np.random.Generator, population: Population, made: Array, times: Array | float) -> Array:
    """Amounts (n,), in the customers' currencies: so many times what each usually pays at such a merchant, give or take."""
    people = population.customers.table[made["customer"]]
    category = population.merchants.table["category"][made["merchant"]]
    amount = MEDIANS[category] * people["spending"] * times * rng.lognormal(0.0, 0.5, len(made))
    return rounded(rng, amount.clip(max=LARGEST_EURO * PER_EURO[people["country"]]), category)


def sums(rng: np.random.Generator, population: Population, made: Array, euro: Array | float, spread: float) -> Array:
    """Amounts (n,), in the customers' currencies, that do not depend on the merchant: log-normal around so many euro."""
    people = population.customers.table[made["customer"]]
    category = population.merchants.table["category"][made["merchant"]]
    amount = euro * PER_EURO[people["country"]] * rng.lognormal(0.0, spread, len(made))
    return rounded(rng, amount.clip(max=LARGEST_EURO * PER_EURO[people["country"]]), category)


def spread_out(rng: np.random.Generator, campaign: Array, lasts: Array) -> Array:
    """Times (rows,) since each campaign's start, at random within the milliseconds (n,) that it lasts, in order."""
    since = (lasts[campaign] * rng.random(len(campaign))).astype(np.int64)
    ordered: Array = since[np.lexsort((since, campaign))]
    return ordered
