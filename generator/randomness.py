"""Randomness that depends only on the seed, a purpose and a number: never on what was drawn before, or where a stream began."""

from enum import IntEnum

import numpy as np

from generator.arrays import Array


class Purpose(IntEnum):
    """What random numbers are for. Two purposes never share a stream, so a change in one leaves the others as they were."""

    POPULATION = 0
    TRIPS = 1
    TRAFFIC = 2
    CAMPAIGNS = 3
    LABELS = 4
    WAVE = 5
    OPENINGS = 7
    FURTHER_LABELS = 6
    HANDBOOK_WORLD = 16
    HANDBOOK_TRAFFIC = 17
    HANDBOOK_FRAUD = 18


def generator(seed: int, purpose: Purpose, number: int = 0) -> np.random.Generator:
    """The random generator for one purpose and one number (an hour, a period): the same in every process."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=(purpose, number))))


def scrambled(values: Array, seed: int) -> Array:
    """Map unsigned 64-bit integers to others, one to one, so that they look random but stay unique.

    Adding a constant and then the finaliser of SplitMix64 (Steele, Lea and Flood 2014, "Fast splittable pseudorandom
    number generators"), which is a bijection.
    """
    key = np.random.SeedSequence(seed).generate_state(1, np.uint64)[0]
    z: Array = values.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + key
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    return z
