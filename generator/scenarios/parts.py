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


def quiet_shops(
    rng: np.random.Generator, population: Population, place: Array, categories: list[int], shops: int
) -> Array:
    """Merchants (n, shops), each of one of these categories in each place (n,): any of them, popular or not."""
    merchants, category = population.merchants, rng.choice(categories, (len(place), shops))
    first, count = (shelf[place[:, None], category] for shelf in (merchants.first, merchants.count))
    chosen: Array = first + (count * rng.random(category.shape)).astype(np.int64)
    return chosen


def neighbours(rng: np.random.Generator, population: Population, city: Array) -> Array:
    """Any honest customer (n,) who lives in each city (n,)."""
    return _of_group(rng, population.customers.table["home"][: population.honest], city)


def visitors(rng: np.random.Generator, regulars: tuple[Array, Array], merchant: Array, otherwise: Array) -> Array:
    """A customer (n,) who goes to each merchant (n,), given the population's regulars; `otherwise` (n,) where nobody does."""
    merchants, customers = regulars
    first, after = np.searchsorted(merchants, merchant), np.searchsorted(merchants, merchant, side="right")
    chosen = customers[(first + ((after - first) * rng.random(len(merchant))).astype(np.int64)) % len(customers)]
    return np.where(after > first, chosen, otherwise)


def any_of(rng: np.random.Generator, merchants: Array, campaign: Array) -> Array:
    """One of its campaign's merchants (n, shops) for each transaction (rows,)."""
    chosen: Array = merchants[campaign, rng.integers(0, merchants.shape[1], len(campaign))]
    return chosen


def compatriots(rng: np.random.Generator, population: Population, country: Array) -> Array:
    """Any honest customer (n,) of each country (n,), where at least one lives."""
    return _of_group(rng, population.customers.table["country"][: population.honest], country)


def web_place(population: Population, country: Array) -> Array:
    """The place (n,) of each country's web shops (n,), which is every country's where customers live."""
    web = np.flatnonzero(population.places["kind"] == WEB)
    place: Array = web[np.searchsorted(population.places["country"][web], country)]
    return place


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


def _of_group(rng: np.random.Generator, group: Array, wanted: Array) -> Array:
    """The index of any member (n,) of each group (n,), given the group of each (members,)."""
    order = np.argsort(group, kind="stable")
    first, after = np.searchsorted(group[order], wanted), np.searchsorted(group[order], wanted, side="right")
    chosen: Array = order[first + ((after - first) * rng.random(len(wanted))).astype(np.int64)]
    return chosen
