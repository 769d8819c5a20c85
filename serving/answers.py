"""What the service answers: JSON records, each declared once."""

from typing import Literal

import msgspec

from detection.engine import Outcome, Scored
from detection.score_json import read_own
from ml.schema import Reason, Score

Verdict = Literal["approve", "review", "decline"]
"""What the caller should do with a payment."""


class Decided(msgspec.Struct, frozen=True):
    """A verdict and what it rests on: `model`, `fallback`, or the list or rule that decided, by its name.

    would_be: what the policy says where the verdict is another one: in shadow mode, or where the payment was let pass at
    random so that its truth becomes known (`released`).
    """

    decision: Verdict
    decided_by: str
    reason: str | None = None
    would_be: Verdict | None = None
    released: bool = False
    shadow_rules: tuple[str, ...] = ()


class Answer(msgspec.Struct, omit_defaults=True):
    """The answer to one transaction: its place in the log, its judgement, and what to do with the payment.

    elapsed_ms: from the arrival of the request until its answer was ready. repeated: the transaction was answered before, and
    this is that answer. degraded: no judgement came in time, for this reason; the decision is the policy's fallback, and the
    other fields are null. The record is in the log all the same, unless `partition` is null too.
    """

    transaction_id: str
    decision: Verdict
    decided_by: str
    partition: int | None
    offset: int | None
    anomaly_score: float | None
    threshold: float | None
    is_anomaly: bool | None
    reasons: list[Reason] | None
    model_name: str | None
    model_version: int | None
    threshold_version: int | None
    profile_version: int | None
    elapsed_ms: float
    reason: str | None = None
    would_be: Verdict | None = None
    released: bool = False
    shadow_rules: tuple[str, ...] = ()
    repeated: bool = False
    degraded: str | None = None


class Prediction(msgspec.Struct):
    """What a transaction's score would be if it came next. Nothing was recorded."""

    transaction_id: str
    anomaly_score: float
    threshold: float
    is_anomaly: bool
    reasons: list[Reason]
    model_name: str
    model_version: int
    threshold_version: int
    profile_version: int
    elapsed_ms: float


class Refused(msgspec.Struct, omit_defaults=True):
    """Why a request is not answered (RFC 9457, application/problem+json). field: of the body, where one is at fault."""

    title: str
    status: int
    detail: str
    field: str | None = None
    partition: int | None = None
    offset: int | None = None


class NotJudged(Exception):
    """A record of ours was read back and has no score; the text is the dead letter's reason."""


def score_of(outcome: Outcome) -> Score:
    """The score of what the core made of a message. Raises `NotJudged` where there is none."""
    if isinstance(outcome, Scored):
        return read_own(outcome.value)
    raise NotJudged(outcome.reason)


def answer(score: Score, decided: Decided, elapsed_ms: float) -> Answer:
    """The answer for a transaction that was judged."""
    return Answer(
        score.transaction_id,
        decided.decision,
        decided.decided_by,
        score.partition,
        score.offset,
        score.anomaly_score,
        score.threshold,
        score.is_anomaly,
        score.reasons,
        score.model_name,
        score.model_version,
        score.threshold_version,
        score.profile_version,
        round(elapsed_ms, 3),
        decided.reason,
        decided.would_be,
        decided.released,
        decided.shadow_rules,
    )


def degraded(transaction_id: str, decided: Decided, why: str, elapsed_ms: float) -> Answer:
    """The answer where no judgement came in time, or could not be had."""
    return Answer(
        transaction_id,
        decided.decision,
        decided.decided_by,
        partition=None,
        offset=None,
        anomaly_score=None,
        threshold=None,
        is_anomaly=None,
        reasons=None,
        model_name=None,
        model_version=None,
        threshold_version=None,
        profile_version=None,
        elapsed_ms=round(elapsed_ms, 3),
        reason=decided.reason,
        degraded=why,
    )


def prediction(score: Score, elapsed_ms: float) -> Prediction:
    """The answer to a question about a transaction that has not come."""
    return Prediction(
        score.transaction_id,
        score.anomaly_score,
        score.threshold,
        score.is_anomaly,
        score.reasons,
        score.model_name,
        score.model_version,
        score.threshold_version,
        score.profile_version,
        round(elapsed_ms, 3),
    )
