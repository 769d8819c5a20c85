"""Numbers that look random, from numbers that do not: the same on every machine."""

import numpy as np

from ml.arrays import Hashes


def mixed(numbers: Hashes) -> Hashes:
    """(n,) one to one: the finalizer of SplitMix64 (Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators",
    OOPSLA 2014).

    >>> mixed(np.array([0, 1, 2], np.uint64)).tolist()
    [0, 6238072747940578789, 15839785061582574730]
    """
    mixed = (numbers ^ (numbers >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed ^= mixed >> np.uint64(31)
    return mixed
