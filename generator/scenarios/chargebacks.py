"""What complaints say of a merchant or a category: the share of chargebacks that had come before a transaction's day."""

from typing import Final

import numpy as np

from generator.arrays import Array

DAYS: Final = 30
BEFORE: Final = (
    10.0  # honest transactions that count besides, so that one complaint at a new shop is not a share of all
)


def chargebacks(key: Array, day: Array, known: Array) -> Array:
    """The share (n,) of each transaction's merchant or category: complaints that came in the DAYS before its day began,
    of what was paid there in these days.

    key: (n,) which merchant or category, 0 or more. day: (n,) of the transaction, since the epoch. known: (n,) the day on
    which it was known as fraud, negative where it never was.
    """
    if not len(day):
        return np.zeros(0)
    came = known >= 0
    days = np.concatenate([day, known[came]])
    first, width = days.min(), int(np.ptp(days)) + 2 * DAYS
    now = key * width + day - first + DAYS  # a transaction's place on one line of days for each key
    paid, complaints = np.sort(now), np.sort((key * width + known - first + DAYS)[came])
    of_both = (np.searchsorted(line, now) - np.searchsorted(line, now - DAYS) for line in (complaints, paid))
    complained, all_of_them = of_both
    share: Array = complained / (all_of_them + BEFORE)
    return share
