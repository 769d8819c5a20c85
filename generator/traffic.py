"""Honest transactions: what the customers buy in one simulated hour, each after their own habits.

An hour's traffic depends on the population, the seed and the hour alone, so that a stream may begin anywhere.

Which device a transaction names: online purchases and transfers name the customer's phone or computer (a few hide it);
contactless payments name the phone if the customer pays with it; chip and cash machine see a card and name none.
Coordinates are the shop's or the machine's; online purchases and transfers have none. A payee is a transfer's merchant.

Odd, and honest: trips at home and abroad, rare purchases of many times the usual amount, new phones, merchants never
visited before, several purchases in one outing, many small ones within minutes in a game, purchases from a friend's or a
hotel's computer, zero-amount checks by online shops, night shifts, a spending mood after payday, new customers, money sent
by friends, bursts of new customers at shops that have just opened.
"""

from collections.abc import Callable
from functools import lru_cache

import numpy as np

from generator.amounts import priced
from generator.arrays import Array, pick
from generator.categories import CASH, CATEGORIES, INCOMING, numbers
from generator.customers import FAVOURITES, RANKS, WORK_FAVOURITES, elsewhere
from generator.devices import device_of
from generator.drafts import ATM, CHIP, CONTACTLESS, HOUR_MS, ONLINE, TRANSFER, drafts
from generator.drift import NO_DRIFT, Drift
from generator.merchants import categories_of_kind
from generator.openings import at_newcomers
from generator.places import BANK, CITY, PER_EURO, WEB
from generator.population import Population
from generator.randomness import Purpose, generator
from generator.rhythm import AT_WORK_HOURS, EMPLOYED, WEEKLY
from generator.seasons import after_payday
from generator.trips import ON_THE_WAY, whereabouts

FURTHER_PURCHASES = 0.3  # further purchases in one outing, on average
FURTHER_PURCHASE_MINUTES = 11.0
LONGEST_OUTING_HOURS = 2
NEAR_WORK = 0.6  # of the purchases in person that working people make in working hours
SPREE_AT, SPREES_THERE = numbers("games", "gambling", "subscription", "marketplace"), 0.012
SPREES, SPREE_SIZE = 0.0022, 7.0  # of all purchases, and how many more on average
SECOND_DEVICE, HIDDEN_DEVICE, BORROWED_DEVICE, LOST_PLACE = 0.2, 0.02, 0.01, 0.005
CONTACTLESS_BELOW = 50.0  # euro; above it the terminal asks for the card
KINDS = np.array([c.kind for c in CATEGORIES])
MONDAY = 3 * 24  # the epoch began on a Thursday: hours to add to reach the start of a week


def honest_traffic(population: Population, drift: Drift = NO_DRIFT) -> Callable[[int], Array]:
    """A function from an hour since the epoch to the DRAFTs that begin in it, unsorted; outings may last two hours more."""
    where = whereabouts(population, drift)

    @lru_cache(maxsize=2)
    def mood(day: int) -> Array:
        return after_payday(day, population.customers.table["payday"])

    def traffic(hour: int) -> Array:
        rng = generator(population.seed, Purpose.TRAFFIC, hour)
        place = where(hour)
        rates = expected(population, hour, place) * mood(hour // 24) * drift.purchases(hour)
        made, outing = _outings(rng, rates / ((1 + FURTHER_PURCHASES) * (1 + SPREES * SPREE_SIZE)), hour)
        made["merchant"] = _merchants(rng, population, made["customer"], place, (hour, outing, drift.to_the_web(hour)))
        made["amount"] = priced(rng, population, made["customer"], made["merchant"], drift.prices(hour))
        _name_channel_and_device(rng, population, made)
        made["placeless"] = rng.random(len(made)) < LOST_PLACE
        return np.concatenate([made, _sprees(rng, population, made, drift.prices(hour))])

    return traffic


def expected(population: Population, hour: int, place: Array) -> Array:
    """How many transactions each customer (customers,) makes on average in this hour, being at this place."""
    table = population.customers.table
    local = (hour + MONDAY + population.utc_offsets[place]) % WEEKLY.shape[1]
    rates: Array = table["activity"] / 24 * WEEKLY[table["rhythm"], local]
    return np.where(place == ON_THE_WAY, 0.0, rates)


def usual_week(population: Population) -> Array:
    """How many transactions all customers together make on average in each hour of the week (168,), all being at home.

    The first is the epoch's first hour: Thursday, 0 o'clock UTC.
    """
    home = population.customers.table["home"]
    return np.array([expected(population, hour, home).sum() for hour in range(WEEKLY.shape[1])])


def _outings(rng: np.random.Generator, rates: Array, hour: int) -> tuple[Array, Array]:
    """Draw who buys when: one DRAFT for each purchase, and which of them (n,) continue an outing."""
    n = rng.poisson(rates.sum())
    further = (rng.geometric(1 / (1 + FURTHER_PURCHASES), n) - 1).clip(max=6)
    customer, start = pick(rng, rates, n), hour * HOUR_MS + rng.integers(0, HOUR_MS, n)
    pause = (
        rng.exponential(FURTHER_PURCHASE_MINUTES * 60_000, (n, 6))
        .cumsum(axis=1)
        .clip(max=LONGEST_OUTING_HOURS * HOUR_MS - 1)
    )
    of, step = np.nonzero(np.arange(6) < further[:, None])
    made = drafts(n + len(of))
    made["customer"] = np.concatenate([customer, customer[of]])
    made["time"] = np.concatenate([start, start[of] + pause[of, step].astype(np.int64)])
    return made, np.arange(len(made)) >= n


def _merchants(
    rng: np.random.Generator, population: Population, customer: Array, place: Array, when: tuple[int, Array, float]
) -> Array:
    """The merchant (n,) of each purchase: mostly a favourite, sometimes a new one; away from home one of that city.

    when: the hour, which purchases (n,) continue an outing, and the share of the others that a drift moves to the web.
    """
    hour, outing, to_the_web = when
    table, merchants, n = population.customers.table[customer], population.merchants, len(customer)
    u = rng.random(n)
    online = table["online"] + to_the_web * (1 - table["online"] - table["transfers"])
    kind = np.where(u < online, WEB, np.where(u < online + table["transfers"], BANK, CITY))
    kind[outing] = CITY
    here = place[customer]
    away = (here != table["home"]) & (kind == CITY)
    chosen = _favourite(rng, population, customer, kind)
    at_work = (kind == CITY) & ~away & _working(rng, population, table, hour)
    column = rng.integers(WORK_FAVOURITES.start, WORK_FAVOURITES.stop, n)
    chosen[at_work] = population.customers.favourites[customer[at_work], column[at_work]]
    curious = away | (rng.random(n) < table["curiosity"])
    chosen[curious] = _new_merchants(rng, population, kind[curious], here[curious], table["country"][curious])
    chosen = at_newcomers(population, hour, chosen, curious & (kind == WEB))
    local_hour = (hour + population.utc_offsets[merchants.table["place"][chosen]]) % 24
    closed = ~merchants.open(chosen, local_hour)
    chosen[closed] = _favourite(rng, population, customer[closed], np.full(int(closed.sum()), WEB))
    return chosen


def _working(rng: np.random.Generator, population: Population, table: Array, hour: int) -> Array:
    """Which of the customers (n,) of this CUSTOMER table are at work or near it."""
    local = (hour + MONDAY + population.utc_offsets[table["home"]]) % WEEKLY.shape[1]
    busy = (local // 24 < 5) & np.isin(local % 24, AT_WORK_HOURS) & EMPLOYED[table["rhythm"]]
    working: Array = busy & (rng.random(len(table)) < NEAR_WORK)
    return working


def _sprees(rng: np.random.Generator, population: Population, made: Array, prices: float) -> Array:
    """Further small purchases within minutes of some online ones: extras in a game, tickets, the next song."""
    category = population.merchants.table["category"][made["merchant"]]
    of = np.flatnonzero(np.isin(category, SPREE_AT) & (rng.random(len(made)) < SPREES_THERE))
    spree = np.repeat(of, rng.integers(2, 13, len(of)))
    more = made[spree]
    more["time"] += rng.integers(0, 20 * 60_000, len(more))
    more["amount"] = priced(rng, population, more["customer"], more["merchant"], prices)
    return more


def _favourite(rng: np.random.Generator, population: Population, customer: Array, kind: Array) -> Array:
    column = np.empty(len(kind), np.int64)
    for each, columns in FAVOURITES.items():
        chosen = kind == each
        column[chosen] = columns.start + pick(rng, RANKS[each], int(chosen.sum()))
    favourite: Array = population.customers.favourites[customer, column].astype(np.int64)
    return favourite


def _new_merchants(rng: np.random.Generator, population: Population, kind: Array, here: Array, country: Array) -> Array:
    place = here.copy()
    for each in (WEB, BANK):
        place[kind == each] = elsewhere(rng, population.places, each, country[kind == each])
    return population.merchants.choose(rng, place, categories_of_kind(rng, kind))


def _name_channel_and_device(rng: np.random.Generator, population: Population, made: Array) -> None:
    """Fill in channel and device, given customer, merchant, amount and time."""
    table = population.customers.table[made["customer"]]
    category = population.merchants.table["category"][made["merchant"]]
    kind = KINDS[category]
    n = len(made)
    tap = (made["amount"] < CONTACTLESS_BELOW * PER_EURO[table["country"]]) | table["pays_by_phone"]
    card = np.where(tap & (rng.random(n) < 0.85), CONTACTLESS, CHIP)
    made["channel"] = np.select([kind == WEB, kind == BANK, category == CASH], [ONLINE, TRANSFER, ATM], card)
    remote = kind != CITY
    borrowed = rng.random(n) < BORROWED_DEVICE
    second = remote & (table["devices"] > 1) & (rng.random(n) < SECOND_DEVICE)
    by_phone = (made["channel"] == CONTACTLESS) & table["pays_by_phone"]
    names_it = by_phone | (remote & (rng.random(n) >= HIDDEN_DEVICE))
    rows = np.flatnonzero(names_it & (category != INCOMING))
    own = device_of(population, made["customer"][rows], made["time"][rows], second[rows])
    strange = rng.integers(1, 2**64, len(rows), np.uint64)
    made["device"][rows] = np.where((remote & borrowed)[rows], strange, own)
