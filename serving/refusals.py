"""Refusals of transactions: what is wrong, and where its first is that was judged before."""

import re
from typing import Final

from serving.answers import Refused
from serving.desk import Differs
from serving.http import RequestRefused

_FIELD: Final = re.compile(
    "in the field `([a-z_]+)`|the field '([a-z_]+)'|missing required field `([a-z_]+)`|^(event_time) "
)
_DUPLICATE: Final = re.compile(r"is a duplicate of (?:(\d+)/(\d+)|one in the history)")


def field_of(why: str) -> str | None:
    """The field that a text says is wrong."""
    found = _FIELD.search(why)
    return next((name for name in found.groups() if name), None) if found else None


def differing(differs: Differs) -> RequestRefused:
    """409: another payment has the same name."""
    first = differs.answer
    place = (None, None) if first is None else (first.partition, first.offset)
    return RequestRefused(Refused("other contents", 409, str(differs), "transaction_id", *place))


def not_judged(why: str) -> RequestRefused:
    """422, or 409 with the place of the first where it is a duplicate."""
    duplicate = _DUPLICATE.search(why)
    if duplicate is None:
        return RequestRefused(Refused("not judged", 422, why, field_of(why)))
    place = [None if number is None else int(number) for number in duplicate.groups()]
    return RequestRefused(Refused("duplicate", 409, why, "transaction_id", *place))
