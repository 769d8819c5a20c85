"""Which kind of reason a dead letter has: few kinds, whatever texts there are, so that they can be counted."""

import re
from typing import Final

OTHER: Final = "other"

_KINDS: Final = (
    ("own_error", r"an error of Scoreline's own in its step "),
    ("not_json", r"the value is (?:not JSON|not UTF-8|empty|null)|objects and arrays are nested more than "),
    ("missing_field", r"Object missing required field "),
    ("field_twice", r"the field .* stands in the object more than once"),
    ("future_event_time", r"event_time .* ahead of the record's Kafka timestamp"),
    ("event_time", r"event_time .* is outside the years"),
    ("duplicate", r"transaction_id .* is a duplicate of "),
    ("message_too_large", r"the message has [\d,]+ bytes"),
    ("score_too_large", r"its score has [\d,]+ bytes"),
    ("kafka_timestamp", r"the record's Kafka timestamp, "),
    ("wrong_value", r"Expected |Invalid "),
)
_PATTERNS: Final = tuple((kind, re.compile(pattern, re.DOTALL)) for kind, pattern in _KINDS)

KINDS: Final = (*(kind for kind, _ in _KINDS), OTHER)


def kind_of(reason: str | None) -> str:
    """One of `KINDS`.

    >>> kind_of("transaction_id 'a' is a duplicate of 3/1841"), kind_of("who knows"), kind_of(None)
    ('duplicate', 'other', 'other')
    """
    for kind, pattern in _PATTERNS:
        if reason is not None and pattern.match(reason):
            return kind
    return OTHER
