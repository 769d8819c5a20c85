"""The form that transactions have while they are made: one compact NumPy record each, which refers to the population."""

from typing import Final

import numpy as np

from generator.arrays import Array
from ml.schema import CHANNELS

CONTACTLESS, CHIP, ATM, ONLINE, TRANSFER = range(len(CHANNELS))

HONEST: Final = -1
HOUR_MS: Final = 3_600_000
WAVE: Final = 1 << 60
"""Added to a campaign's number where it is part of an attack's wave."""

DRAFT: Final = np.dtype(
    [
        ("time", "i8"),
        ("customer", "i4"),
        ("merchant", "i4"),
        ("amount", "f8"),
        ("channel", "i1"),
        ("device", "u8"),
        ("placeless", "?"),
        ("scenario", "i1"),
        ("campaign", "i8"),
    ]
)
"""One transaction: `time` in ms since the epoch, `amount` in the customer's currency, `device` a 64-bit number (0: none),
`placeless` where its coordinates were lost on the way, `scenario` an index into scenarios.SCENARIOS, or negative where it is
no fraud (HONEST, or the build-up of a campaign), `campaign` a number that the fraudulent ones of one campaign share."""


def drafts(n: int) -> Array:
    """(n,) DRAFT: honest transactions without a device, everything else still to be filled in."""
    made = np.zeros(n, DRAFT)
    made["scenario"] = HONEST
    return made
