"""Today beside the customer's usual: one payment against those before it, in words."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import numpy as np

from page.payment import Payment

FEWEST: Final = 3
"""Payments before it, without which nothing is called usual."""


class Line(NamedTuple):
    """One thing of a payment. differs: it is not as usual."""

    name: str
    today: str
    usual: str
    differs: bool


def lines(one: Payment, past: Sequence[Payment]) -> list[Line]:
    """What a payment is like, beside those of its customer before it."""
    before = [each for each in past if each.event_time < one.event_time]
    if len(before) < FEWEST:
        return []
    found = [_amount(one, before), _hour(one, before)]
    for name, of in _FIELDS:
        found.append(_field(name, of, one, before))
    return found


def _amount(one: Payment, before: Sequence[Payment]) -> Line:
    same = [each.amount for each in before if each.currency == one.currency]
    unit = one.currency or ""
    if len(same) < FEWEST:
        return Line("amount", f"{one.amount:,.2f} {unit}", f"{len(same)} payments in this currency before", True)
    low, middle, high = np.quantile(same, [0.05, 0.5, 0.95])
    usual = f"{middle:,.2f}; nine in ten from {low:,.2f} to {high:,.2f}"
    return Line("amount", f"{one.amount:,.2f} {unit}", usual, not low <= one.amount <= high)


def _hour(one: Payment, before: Sequence[Payment]) -> Line:
    hours = Counter(each.event_time.hour // 6 for each in before)
    part = one.event_time.hour // 6
    share = hours[part] / len(before)
    today = f"{one.event_time:%H:%M} UTC"
    return Line("time of day", today, f"{share:.0%} from {part * 6:02d}:00 to {part * 6 + 5:02d}:59", share < 0.05)


_FIELDS: Final[tuple[tuple[str, Callable[[Payment], str | None]], ...]] = (
    ("country", lambda payment: payment.country),
    ("merchant", lambda payment: payment.merchant_id),
    ("kind of merchant", lambda payment: payment.merchant_category),
    ("channel", lambda payment: payment.channel),
    ("device", lambda payment: payment.device_id),
)


def _field(name: str, of: Callable[[Payment], str | None], one: Payment, before: Sequence[Payment]) -> Line:
    counted = Counter(of(each) or "none" for each in before)
    today = of(one) or "none"
    times = counted[today]
    most = ", ".join(f"{value[:24]} {number / len(before):.0%}" for value, number in counted.most_common(2))
    seen = f"never before; mostly {most}" if times == 0 else f"{times} of {len(before)} before; mostly {most}"
    return Line(name, today, seen, times == 0)
