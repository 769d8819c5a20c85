"""The transactions of the Fraud Detection Handbook's world and its frauds, day by day; rules from the book (see `world`).

A day depends on the seed, the parameters and the day alone, so that a stream may begin on any day. That is the one
difference from the book's text: there a third of all the transactions of a leaked card's fourteen days are frauds, here
each one is with a chance of a third.
"""

from functools import lru_cache
from typing import Final, NamedTuple

import numpy as np

from generator.arrays import Array
from generator.drafts import HONEST
from generator.handbook.world import HandbookWorld
from generator.randomness import Purpose, generator

DAY_SECONDS: Final = 86_400
LARGE_AMOUNT, TERMINAL_TAKEN_OVER, LEAKED_CARD = range(3)
SCENARIOS: Final = ("large_amount", "terminal_taken_over", "leaked_card")
"""The book's scenarios 1, 2 and 3; where two fit a transaction, the later one counts."""
NEVER: Final = -1

PAYMENT: Final = np.dtype(
    [
        ("time", "i8"),
        ("customer", "i4"),
        ("terminal", "i4"),
        ("amount", "f8"),
        ("scenario", "i1"),
        ("since", "i4"),
    ]
)
"""One transaction: `time` in ms since the epoch, in whole seconds; `scenario` an index into SCENARIOS, HONEST where it is no
fraud; `since` the day since the epoch on which its terminal was taken over or its card leaked."""


class Victims(NamedTuple):
    """Since which day (since the epoch) each terminal (t,) is taken over and each customer's card (c,) leaked, or NEVER."""

    terminals: Array
    cards: Array


def payments(world: HandbookWorld, day: int) -> Array:
    """All PAYMENTs (n,) of a day since the epoch, in the order of time."""
    made = _honest(world, day)
    handbook, victims = world.handbook, victims_on(world, day)
    made["scenario"][made["amount"] > handbook.large_amount] = LARGE_AMOUNT
    _mark(made, TERMINAL_TAKEN_OVER, victims.terminals[made["terminal"]])
    stolen = generator(world.seed, Purpose.HANDBOOK_FRAUD, 2 * day + 1).random(len(made)) < handbook.card_share
    leaked = _mark(made, LEAKED_CARD, np.where(stolen, victims.cards[made["customer"]], NEVER))
    made["amount"][leaked] = (made["amount"][leaked] * handbook.card_times).round(2)
    return made


def victims_on(world: HandbookWorld, day: int) -> Victims:
    """Who is a victim on a day: those drawn on it or on the days before, as long as that lasts."""
    handbook = world.handbook
    terminals, cards = (np.full(n, NEVER) for n in (handbook.terminals, handbook.customers))
    first = int(np.datetime64(handbook.first_day).astype(np.int64))
    for drawn in range(max(first, day + 1 - handbook.terminal_days), day + 1):
        terminals[_drawn(world, drawn).terminals] = drawn
    for drawn in range(max(first, day + 1 - handbook.card_days), day + 1):
        cards[_drawn(world, drawn).cards] = drawn
    return Victims(terminals, cards)


def campaign_names(made: Array) -> list[str | None]:
    """What each of these frauds (n,) is part of: the terminal or the card and the day; None for a large amount."""
    who = np.where(made["scenario"] == TERMINAL_TAKEN_OVER, made["terminal"], made["customer"])
    parts = zip(made["scenario"].tolist(), who.tolist(), made["since"].tolist(), strict=True)
    return [None if kind == LARGE_AMOUNT else f"{SCENARIOS[kind]}-{number}-{since}" for kind, number, since in parts]


@lru_cache(maxsize=64)
def _drawn(world: HandbookWorld, day: int) -> Victims:
    """The numbers of the terminals and of the customers that become victims on a day."""
    rng, handbook = generator(world.seed, Purpose.HANDBOOK_FRAUD, 2 * day), world.handbook
    return Victims(
        rng.choice(handbook.terminals, handbook.terminals_a_day, replace=False),
        rng.choice(handbook.customers, handbook.cards_a_day, replace=False),
    )


def _honest(world: HandbookWorld, day: int) -> Array:
    """What customers pay on a day, in the order of time. Times outside the day are left out, as the book does it."""
    rng, handbook = generator(world.seed, Purpose.HANDBOOK_TRAFFIC, day), world.handbook
    customer = np.repeat(np.arange(len(world.a_day)), rng.poisson(world.a_day))
    second = rng.normal(DAY_SECONDS / 2, handbook.time_deviation, len(customer))
    mean = world.mean_amount[customer]
    amount = rng.normal(mean, handbook.deviation * mean)
    amount = np.where(amount < 0, rng.uniform(0, 2 * mean), amount)
    choice = world.begin[customer + 1] - world.begin[customer]
    terminal = world.begin[customer] + (rng.random(len(customer)) * choice).astype(np.int64)
    there = np.flatnonzero((second > 0) & (second < DAY_SECONDS) & (choice > 0))
    there = there[np.argsort(second[there], kind="stable")]
    made = np.empty(len(there), PAYMENT)
    made["time"] = (day * DAY_SECONDS + second[there].astype(np.int64)) * 1000
    made["customer"], made["terminal"] = customer[there], world.reach[terminal[there]]
    made["amount"] = amount[there].round(2)
    made["scenario"], made["since"] = HONEST, NEVER
    return made


def _mark(made: Array, scenario: int, since: Array) -> Array:
    """Make those a fraud of this scenario that have been a victim since some day (n,), and return which (n,) they are."""
    chosen: Array = since != NEVER
    made["scenario"][chosen] = scenario
    made["since"][chosen] = since[chosen]
    return chosen
