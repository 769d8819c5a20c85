"""What people are notified of: an alert or an event, reduced to what a message can say, with nothing in it that breaks one."""

import math
import unicodedata
from typing import Any, Final, Literal

import msgspec

from ml.explanation import in_words
from ml.features import FEATURES
from ml.schema import TRANSACTION_FIELDS, Event, Score, Severity
from ml.segments import segment_name
from notifications.condition import TYPES

_LONGEST: Final = 80
_LONGEST_WORDS: Final = 500
_OTHER_LINES: Final = {"Cc", "Cf", "Zl", "Zp", "Cs", "Co", "Cn"}
"""Categories of characters that end lines, turn the direction of writing, or are invisible."""


class Names(msgspec.Struct, frozen=True):
    """What records are grouped by; empty where a record has none."""

    customer_id: str = ""
    merchant_id: str = ""
    merchant_category: str = ""
    country: str = ""
    channel: str = ""
    device_id: str = ""
    currency: str = ""
    segment: str = ""
    record: str = ""
    event: str = ""
    subject: str = ""
    severity: str = ""
    transaction_id: str = ""


class Item(msgspec.Struct, frozen=True):
    """One alert or event. key: its identity, the same however often it comes; at: ms since 1970; words: its reasons, or what
    happened. customer: the id as it came, for addresses alone. facts: what conditions see; it is not kept."""

    key: str
    record: Literal["alert", "event"]
    at: float
    severity: Severity
    names: Names
    words: tuple[str, ...] = ()
    score: float = 0.0
    amount: float = 0.0
    resolved: bool = False
    customer: str = ""
    facts: dict[str, Any] = {}

    @property
    def risk(self) -> float:
        """What is at stake: score × amount."""
        return self.score * self.amount

    def kept(self) -> "Item":
        """Without what conditions see."""
        return msgspec.structs.replace(self, facts={}) if self.facts else self


def plain_text(text: str, longest: int = _LONGEST) -> str:
    """A text of others as one line: no control, no invisible and no turning characters, at most so long, and no web address
    and no mention that a receiver would make one of.

    >>> plain_text("a\\nb\\u202e https://x.y <!channel> @here " + "z" * 99, 46)
    'a b https[:]//x.y ‹!channel› @\\u2009here zzzzzzzzz…'
    """
    line = "".join(" " if unicodedata.category(each) in _OTHER_LINES else each for each in text[: 4 * longest])
    line = " ".join(line.split()).replace("://", "[:]//").replace("<", "‹").replace(">", "›").replace("@", "@\u2009")
    return line if len(line) <= longest else line[: longest - 1] + "…"


def of_score(score: Score, place: str) -> Item:
    """Of an alert. place: PARTITION/OFFSET/ID of its transaction, by which both lanes know it."""
    named = {name: getattr(score, name) for name in TRANSACTION_FIELDS}
    segment = segment_name(score.channel, score.merchant_category)
    names = {
        name: plain_text(text)
        for name in Names.__struct_fields__
        if isinstance(text := named.get(name), str) and name != "record"
    }
    facts = dict.fromkeys(TYPES) | (score.named_features or {}) | dict(zip(FEATURES, score.features, strict=False))
    facts |= named | {
        "record": "alert",
        "severity": "warning",
        "segment": segment,
        "anomaly_score": score.anomaly_score,
        "threshold": score.threshold,
        "model_version": score.model_version,
        "late": score.late,
        "lane": score.lane,
        "reasons": tuple(reason.feature for reason in score.reasons),
    }
    return Item(
        key=f"alert/{place}",
        record="alert",
        at=score.event_time.timestamp(),
        severity="warning",
        names=Names(**names, segment=plain_text(segment), record="alert", severity="warning"),
        words=tuple(plain_text(in_words(reason), 160) for reason in score.reasons[:3]),
        score=_finite(score.anomaly_score),
        amount=_finite(score.amount),
        customer=score.customer_id,
        facts=facts,
    )


def of_event(event: Event, place: str) -> Item:
    """Of an event of the system. place: PARTITION/OFFSET of its record."""
    facts = dict.fromkeys(TYPES) | {
        "record": "event",
        "severity": event.severity,
        "event": event.kind,
        "subject": event.subject,
        "source": event.source,
        "words": event.words,
        "resolved": event.resolved,
    }
    return Item(
        key=f"event/{place}",
        record="event",
        at=event.at.timestamp(),
        severity=event.severity,
        names=Names(record="event", event=event.kind, subject=plain_text(event.subject, 120), severity=event.severity),
        words=(plain_text(event.words, _LONGEST_WORDS),),
        resolved=event.resolved,
        facts=facts,
    )


def _finite(number: float) -> float:
    return number if math.isfinite(number) else 0.0
