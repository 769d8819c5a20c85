"""One alert as the store keeps it, made of a score's JSON: pure, and safe for whatever anybody wrote to the topic."""

import hashlib
import math
from typing import Final, NamedTuple

import msgspec

from detection.score_json import named, read
from ml.schema import Lane, Score, Unreadable
from page.store.tables import LONGEST_ID

_LARGEST_TIME: Final = 2**62
_DIGEST_DIGITS: Final = 8


class Alert(NamedTuple):
    """The columns of the table `alerts` that follow from a record alone. Times: ms since the epoch.

    worth: the amount in the base currency. exposure: score × worth. rule: the feature that is the first reason, "none"
    where there is none. record: the score as JSON.
    """

    partition: int
    offset: int
    transaction_id: str
    customer_id: str
    merchant_id: str | None
    country: str | None
    event_time: int
    amount: float
    worth: float
    score: float
    exposure: float
    rule: str
    model_version: int
    record: str


def alert_of(value: bytes | None) -> tuple[Alert, Lane]:
    """The alert that a record on `alerts` or `alerts.early` is, and its lane. Raises `Unreadable`, and nothing else."""
    score = read(value)
    if not score.is_anomaly:
        raise Unreadable("it is no anomaly")
    worth = worth_of(score)
    exposure = score.anomaly_score * worth
    if not math.isfinite(exposure):
        raise Unreadable("its score and amount are no finite numbers")
    return (
        Alert(
            score.partition,
            score.offset,
            kept(score.transaction_id),
            kept(score.customer_id),
            None if score.merchant_id is None else kept(score.merchant_id),
            None if score.country is None else kept(score.country),
            max(-_LARGEST_TIME, min(_LARGEST_TIME, round(score.event_time.timestamp() * 1000))),
            score.amount,
            worth,
            score.anomaly_score,
            exposure,
            kept(score.reasons[0].feature) if score.reasons else "none",
            score.model_version,
            msgspec.json.encode(score).decode(),
        ),
        score.lane,
    )


def worth_of(score: Score) -> float:
    """A score's amount in the base currency, as its features have it; the amount itself where they don't say.

    A currency without a rate counts as 0 in the features; then the amount as it was paid stands.
    """
    if score.currency_unknown:
        return score.amount
    try:
        return math.expm1(named(score)["log_amount"])
    except (Unreadable, OverflowError):
        return score.amount


def kept(text: str) -> str:
    """A text as a column keeps it: whole up to `LONGEST_ID` characters, else its beginning and a digest; never a NUL.

    >>> kept("c1"), len(kept("x" * 10_000)), kept("a\\x00b")
    ('c1', 256, 'a\ufffdb')
    """
    clean = text.replace("\0", "\ufffd").encode("utf-8", "replace").decode()
    if len(clean) <= LONGEST_ID:
        return clean
    digest = hashlib.sha256(clean.encode()).hexdigest()[:_DIGEST_DIGITS]
    return f"{clean[: LONGEST_ID - _DIGEST_DIGITS - 1]}…{digest}"
