"""Payments of invented customers, one after the other, at so little cost that a thousand a second are possible."""

from datetime import UTC, datetime
from typing import Final

import msgspec
import numpy as np

from ml.schema import Transaction

OLD_CUSTOMERS: Final = 20_000
NEW_A_MINUTE: Final = 500
"""New customers keep coming, so that after partitions were added there are some whose order is well defined."""

_CATEGORIES: Final = ("groceries", "fuel", "travel", "gift_cards", "restaurants", None)
_CHANNELS: Final = ("chip", "contactless", "online", "atm", "transfer")
_COUNTRIES: Final = ("FR", "FR", "FR", "DE", "BR", None)
_FOLLOWING: Final = 5

Message = tuple[bytes | None, bytes | None]
"""Key and value."""

_encode: Final = msgspec.json.Encoder().encode


class Payments:
    """Draws payments from a seed; the clock comes in with each call."""

    def __init__(self, seed: int) -> None:
        self._rng = np.random.default_rng(seed)
        self._count = 0

    def next(self, now_ms: int, minute: float) -> Transaction:
        """The next payment, made at `now_ms`; `minute`: since the beginning of the traffic. A few are late."""
        rng = self._rng
        self._count += 1
        pick, kind, bits = (int(number) for number in rng.integers(0, 1 << 30, 3))
        new = minute > 1 and kind % 3 == 0
        customer = f"N{int(minute)}-{pick % NEW_A_MINUTE}" if new else f"C{pick % OLD_CUSTOMERS:05d}"
        if kind % 50 == 1:
            customer = f"C{pick % _FOLLOWING:05d}"  # some have very many payments
        late_ms = 3_600_000 * (bits % 30) if bits % 40 == 0 else 0
        return Transaction(
            transaction_id=f"T{self._count}",
            event_time=datetime.fromtimestamp((now_ms - late_ms) / 1000, UTC).replace(microsecond=now_ms % 1000 * 1000),
            customer_id=customer,
            amount=round(float(rng.gamma(2, 30)), 2) * (40 if bits % 211 == 0 else 1),
            currency="EUR",
            merchant_id=f"M{bits % 300}",
            merchant_category=_CATEGORIES[bits % 6],
            country=_COUNTRIES[(bits >> 8) % 6],
            latitude=None if bits % 17 == 0 else 45.0 + (bits % 1000) / 100,
            longitude=None if bits % 17 == 0 else 2.0 + (pick % 1000) / 100,
            channel=_CHANNELS[(bits >> 4) % 5],
            device_id=None if bits % 5 else f"D{customer}-{bits % 3}",
        )


def message(transaction: Transaction) -> Message:
    """As a well-behaved producer sends it."""
    return transaction.customer_id.encode(), _encode(transaction)
