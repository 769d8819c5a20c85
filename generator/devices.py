"""Which device a customer pays with: phones and computers, each replaced by another one after some time."""

import numpy as np

from generator.arrays import Array
from generator.drafts import HOUR_MS
from generator.population import Population
from generator.randomness import scrambled


def device_of(population: Population, customer: Array, time: Array, second: Array) -> Array:
    """The number of each customer's first or second device at a time (n,) in ms: another one after each replacement.

    A customer who replaces one who has left has other ones.
    """
    table = population.customers.table
    # The second device's birthday lies half a life after the first one's.
    lives = (time / (24 * HOUR_MS) + table["device_age"][customer]) / table["device_life"][customer] + 0.5 * second
    generation = population.generation(customer, time // (24 * HOUR_MS))
    number = (
        (customer.astype(np.uint64) << np.uint64(32))
        | (generation.astype(np.uint64) % np.uint64(256) << np.uint64(16))
        | (lives.astype(np.uint64) << np.uint64(1))
        | second.astype(np.uint64)
    )
    return scrambled(number, population.seed)
