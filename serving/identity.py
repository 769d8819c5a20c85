"""What makes two requests the same payment."""

from typing import NamedTuple

import msgspec
import xxhash

from ml.features.events import milliseconds
from ml.schema import Score, Transaction


class Payment(NamedTuple):
    """A payment's name: the fold too knows a transaction by its id among those of its customer."""

    customer_id: str
    transaction_id: str


def payment_of(one: Transaction | Score) -> Payment:
    """The name of a transaction, or of the one that a score is of."""
    return Payment(one.customer_id, one.transaction_id)


def contents_of(one: Transaction | Score) -> int:
    """A 64-bit hash of what is paid: equal for a transaction and the score of it. Who repeats a payment changes none of it."""
    paid = (one.amount, one.currency, one.merchant_id, milliseconds(one.event_time))
    return xxhash.xxh3_64_intdigest(msgspec.msgpack.encode(paid))
