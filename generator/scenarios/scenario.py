"""What a fraud scenario is: a name, its weight among the others, and a function that plays it."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from generator.arrays import Array
from generator.population import Population

Play = Callable[[np.random.Generator, Population, Array, Array], Array]
"""(rng, population, victims (n,) customers, start (n,) ms since the epoch) → DRAFTs of n campaigns, one for each victim."""


@dataclass(frozen=True)
class Scenario:
    """One kind of fraud. A campaign is what happens to one victim.

    share: of all fraudulent transactions; size: transactions of a campaign, on average; after_purchase: whether it starts
    when the victim has just paid with the card in a city, instead of at any time.
    No campaign lasts longer than LONGEST_CAMPAIGN_HOURS.
    """

    name: str
    play: Play
    share: float
    size: float
    after_purchase: bool = False


LONGEST_CAMPAIGN_HOURS = 12
MINUTE_MS = 60_000


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
