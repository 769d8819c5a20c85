"""A case as its template shows it: one alert of it in full, with all that explains it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from detection.score_json import read
from ml.explanation import in_words, number
from ml.features.profiles import PROFILE_FEATURES, PROFILE_SET
from ml.schema import SCORE_SCHEMA, Reason, Score
from page.charts import Map, Timeline, places, timeline
from page.past import Past
from page.payment import Payment
from page.usual import Line, lines


@dataclass(frozen=True)
class Bar:
    """One reason: in words, and as numbers for a bar from 0 to 100.

    is_number: it is more than yes or no. usual_from, usual_to, value: places on the bar.
    """

    words: str
    is_number: bool
    usual_from: float
    usual_to: float
    value: float


@dataclass(frozen=True)
class View:
    """What a template needs of one alert. profile: (name, number) of what was known of its merchant and category."""

    score: Score
    reasons: list[Bar]
    usual: list[Line]
    timeline: Timeline | None
    map: Map | None
    source: str
    profile: list[tuple[str, str]]


def decoded(record: str) -> Score:
    """A score as the store keeps it."""
    return read(record.encode())


def view(score: Score, past: Past) -> View:
    """All that explains an alert."""
    own = payment(score)
    this = own.partition, own.offset
    known = any((one.partition, one.offset) == this for one in past.payments)
    payments: Sequence[Payment] = past.payments if known else sorted([*past.payments, own], key=_time)
    profile = []
    if score.profile_features and score.profile_set == PROFILE_SET:
        pairs = zip(PROFILE_FEATURES, score.profile_features, strict=False)
        profile = [(name.replace("_", " "), number(value)) for name, value in pairs]
    return View(
        score,
        [_bar(reason) for reason in score.reasons],
        lines(own, payments),
        timeline(payments, this),
        places(payments, this),
        past.source,
        profile,
    )


def payment(score: Score) -> Payment:
    """The same transaction, as it stands among the customer's others."""
    fields: dict[str, Any] = {
        name: getattr(score, name) for name in Payment.__struct_fields__ if name != "schema_version"
    }
    return Payment(schema_version=SCORE_SCHEMA, **fields)


def _time(one: Payment) -> Any:
    return one.event_time


def _bar(reason: Reason) -> Bar:
    """The usual range and the value on one line, with a little room on both sides."""
    low, high = min(reason.usual_low, reason.value), max(reason.usual_high, reason.value)
    room = (high - low) * 0.05 or 1.0
    span = high - low + 2 * room

    def place(value: float) -> float:
        return round(100 * (value - low + room) / span, 1)

    return Bar(
        in_words(reason),
        {reason.value, low, high} - {0.0, 1.0} != set(),
        place(reason.usual_low),
        place(reason.usual_high),
        place(reason.value),
    )
