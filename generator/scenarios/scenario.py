"""What a fraud scenario is: a name, its weight among the others, a function that plays it, and the rule that looks for it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeVar

import numpy as np

from generator.arrays import Array
from generator.population import Population

Subtlety = Literal["low", "medium", "high"]
T = TypeVar("T")

SHORT_HOURS: Final = 14
LONGEST_HOURS: Final = 45 * 24
MINUTE_MS: Final = 60_000
BUILD_UP: Final = -2
"""In a draft's `scenario`: part of a campaign that harms nobody, such as the payments that make an account look honest."""

STRANGE_PURCHASE: Final = frozenset(
    {
        *("log_amount", "amount_z", "amount_ratio", "log_amount_ratio"),
        *("new_merchant", "new_device", "no_device", "log_device_age_seconds"),
    }
)
"""What is unusual where a stolen card pays: a shop and a device that its customer never used, and an amount."""


@dataclass(frozen=True)
class Style:
    """How a campaign is carried out: how subtly, and with how many transactions (a multiple of the usual number)."""

    subtlety: Subtlety = "medium"
    intensity: float = 1.0

    def of(self, low: T, medium: T, high: T) -> T:
        """The one of three that belongs to this subtlety."""
        return {"low": low, "medium": medium, "high": high}[self.subtlety]

    def sizes(self, rng: np.random.Generator, fewest: int, most: int, n: int) -> Array:
        """How many transactions each of n campaigns has: from fewest to most at the usual intensity, at least one."""
        sizes: Array = np.round(rng.integers(fewest, most + 1, n) * self.intensity).astype(np.int64)
        return sizes.clip(1)


Play = Callable[[np.random.Generator, Population, Array, Array, Style], Array]
"""(rng, population, victims (n,) customers, start (n,) ms since the epoch, style) → DRAFTs of n campaigns.

Each draft's `campaign` is the number of its campaign, 0 … n - 1; its `scenario` is BUILD_UP where it is not fraud itself.
"""

Columns = Mapping[str, Array]
"""What a rule looks at, each (n,): features by name, `amount`, and `channel` and `merchant_category` as strings; of
`chargebacks`, `merchant_chargebacks` and `category_chargebacks`."""

Rule = Callable[[Columns], Array]
"""Columns → a score (n,), higher is more suspicious."""


@dataclass(frozen=True)
class Scenario:
    """One kind of fraud. A campaign is one attack: on one customer, or on several where one merchant is behind it.

    share: of all fraudulent transactions; size: fraudulent transactions of a campaign, on average, at the usual intensity;
    after_purchase: it starts when the victim has just paid with the card in a city, instead of at any time (such a campaign
    is over within SHORT_HOURS); hours: no campaign lasts longer; rule: what an analyst would write down on one line;
    tampers: the features that the fraud makes unusual, by name; across: its victims share a merchant or a category, and no
    customer's own past shows it.
    """

    name: str
    play: Play
    share: float
    size: float
    rule: Rule
    tampers: frozenset[str]
    after_purchase: bool = False
    hours: int = SHORT_HOURS
    across: bool = False


def repeated(sizes: Array) -> tuple[Array, Array]:
    """For campaigns of these sizes (n,): which campaign each transaction belongs to, and its number within it, from 0."""
    campaign = np.repeat(np.arange(len(sizes)), sizes)
    return campaign, np.arange(len(campaign)) - np.repeat(np.cumsum(sizes) - sizes, sizes)


def cumulated(gaps: Array, sizes: Array) -> Array:
    """Sums of the gaps (sum of sizes,) before each transaction, within each campaign; the first one's gap counts too."""
    total: Array = np.cumsum(gaps)
    ends = np.cumsum(sizes)
    before = np.concatenate([[0.0], total[ends[:-1] - 1]]) if len(sizes) else np.zeros(0)
    total -= np.repeat(before, sizes)
    return total
