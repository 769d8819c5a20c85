"""Which fraud campaigns begin in a simulated hour, and against whom."""

import numpy as np

from generator.arrays import Array
from generator.drafts import ATM, CHIP, CONTACTLESS, HOUR_MS, drafts
from generator.population import Population
from generator.randomness import Purpose, generator
from generator.scenarios import SCENARIOS

FRAUD_SHARE = 0.006


def campaigns(population: Population, hour: int, honest: Array, fraud_share: float = FRAUD_SHARE) -> Array:
    """The DRAFTs of all campaigns that begin in this hour (an hour since the epoch), given its honest DRAFTs.

    There are as many as it takes to make `fraud_share` of all transactions fraudulent on average, whatever the hour's
    traffic; victims are drawn from all customers, or, for a scenario that follows a purchase, from those who just paid.
    """
    rng = generator(population.seed, Purpose.CAMPAIGNS, hour)
    wanted = len(honest) * fraud_share / (1 - fraud_share)
    in_person = np.flatnonzero(np.isin(honest["channel"], (CHIP, CONTACTLESS, ATM)))
    begun = [drafts(0)]
    for number, scenario in enumerate(SCENARIOS):
        n = int(wanted * scenario.share / scenario.size + rng.random())  # rounded up or down by chance: a steady share
        if scenario.after_purchase:
            purchases = honest[rng.choice(in_person, min(n, len(in_person)), replace=False)]
            victims, start = purchases["customer"], purchases["time"]
        else:
            victims = rng.integers(0, len(population.customers.table), n)
            start = hour * HOUR_MS + rng.integers(0, HOUR_MS, n)
        made = scenario.play(rng, population, victims, start)
        made["scenario"] = number
        begun.append(made)
    return np.concatenate(begun)
