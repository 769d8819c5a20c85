"""What can be bought: each merchant category with its typical amounts, opening hours and popularity."""

from typing import Final, NamedTuple

import numpy as np

from generator.places import BANK, CITY, WEB


class Category(NamedTuple):
    """A merchant category: where it is found, the share of its kind's purchases, amounts in euro, local opening hours.

    Amounts are log-normal with this median and spread; `big` allows a rare purchase of many times that; `rounding` is the
    step that amounts are multiples of. Open from `opens` to `closes`, which may lie after midnight (26 is 2 o'clock).
    """

    name: str
    kind: int
    share: float
    median: float
    spread: float
    opens: int = 0
    closes: int = 24
    rounding: float = 0.01
    big: bool = False


CATEGORIES: Final = (
    Category("groceries", CITY, 0.29, 27.0, 0.65, 7, 21),
    Category("restaurant", CITY, 0.11, 34.0, 0.55, 11, 24, 0.1),
    Category("fast_food", CITY, 0.09, 11.0, 0.45, 10, 26, 0.05),
    Category("coffee", CITY, 0.09, 5.2, 0.40, 6, 19, 0.1),
    Category("fuel", CITY, 0.07, 54.0, 0.35, 5, 24),
    Category("transport", CITY, 0.09, 5.5, 0.80, 5, 25, 0.1),
    Category("pharmacy", CITY, 0.05, 16.0, 0.60, 8, 20, 0.05),
    Category("clothing", CITY, 0.05, 46.0, 0.65, 9, 20, 0.05),
    Category("electronics", CITY, 0.02, 95.0, 0.90, 9, 20, 1.0, big=True),
    Category("home", CITY, 0.04, 48.0, 0.85, 8, 20, big=True),
    Category("entertainment", CITY, 0.04, 21.0, 0.55, 10, 27, 0.5),
    Category("health", CITY, 0.02, 48.0, 0.80, 8, 18, big=True),
    Category("hotel", CITY, 0.01, 150.0, 0.60, 0, 24, 1.0, big=True),
    Category("cash", CITY, 0.05, 70.0, 0.60, 0, 24, 10.0),
    Category("marketplace", WEB, 0.38, 32.0, 0.90, big=True),
    Category("subscription", WEB, 0.15, 11.0, 0.30),
    Category("games", WEB, 0.10, 8.0, 0.90),
    Category("food_delivery", WEB, 0.13, 26.0, 0.40, 10, 24),
    Category("fashion", WEB, 0.11, 58.0, 0.60),
    Category("travel", WEB, 0.06, 170.0, 0.90, big=True),
    Category("gift_cards", WEB, 0.04, 35.0, 0.60, rounding=5.0),
    Category("gambling", WEB, 0.03, 24.0, 0.80, rounding=1.0),
    Category("transfer", BANK, 0.85, 85.0, 1.15, rounding=1.0, big=True),
    Category("incoming", BANK, 0.15, 60.0, 1.00, rounding=1.0),
)

CASH: Final = next(i for i, c in enumerate(CATEGORIES) if c.name == "cash")
INCOMING: Final = next(i for i, c in enumerate(CATEGORIES) if c.name == "incoming")
"""A transfer to the customer; its merchant is who sends the money."""
MEDIANS: Final = np.array([c.median for c in CATEGORIES])
SPREADS: Final = np.array([c.spread for c in CATEGORIES])
ROUNDINGS: Final = np.array([c.rounding for c in CATEGORIES])
BIG: Final = np.array([c.big for c in CATEGORIES])
SHARES: Final = np.array([[c.share * (c.kind == kind) for c in CATEGORIES] for kind in (CITY, WEB, BANK)])
"""(3, categories): the share of each category among the purchases of a kind."""

IS_OPEN: Final = np.array(
    [[c.opens <= h < c.closes or c.opens <= h + 24 < c.closes for h in range(24)] for c in CATEGORIES]
)
"""(categories, 24): whether the category does business in this local hour."""


def numbers(*names: str) -> list[int]:
    """The categories with these names, as indices into CATEGORIES."""
    known = [c.name for c in CATEGORIES]
    return [known.index(name) for name in names]
