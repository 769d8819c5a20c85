"""Dead letters by reason: whether the last day has more of a kind than the week before, as a share of all records."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

import numpy as np

from messaging.config import KafkaConfig
from messaging.headers import headers_of, value_of
from messaging.reader import Reader
from ml.drift.alarms import Alarm, Look
from ml.drift.distances import chi_square, jensen_shannon, kolmogorov_smirnov, p_value
from ml.drift.findings import Finding
from ml.drift.policy import DriftPolicy
from ml.features import DAY

_MOST: Final = 50
_LENGTH: Final = 60


class Counted(NamedTuple):
    """How many of the last day's dead letters, and of the week's before it, have each reason."""

    day: Mapping[str, int]
    week: Mapping[str, int]


def reason_kind(reason: bytes | None) -> str:
    """A reason without what is different in each record: numbers, and what is quoted.

    >>> reason_kind(b"duplicate of 3/1841"), reason_kind(b"amount is 'x', no number"), reason_kind(None)
    ('duplicate of #/#', 'amount is …, no number', 'no reason')
    """
    if reason is None:
        return "no reason"
    text = re.sub(r"'[^']*'|\"[^\"]*\"", "…", reason.decode(errors="replace"))
    return " ".join(re.sub(r"\d+", "#", text).split())[:_LENGTH]


def counted(records: Iterable[tuple[int, bytes | None]], end: int) -> Counted:
    """Records' Kafka times (ms) and reasons → counts of the day before `end` (ms) and of the week before that."""
    day, week = Counter[str](), Counter[str]()
    for time, reason in records:
        if end - 8 * DAY <= time < end:
            (day if time >= end - DAY else week)[reason_kind(reason)] += 1
    return Counted(day, week)


def read(kafka: KafkaConfig, topic: str, end: int) -> Counted:
    """What a topic of dead letters holds now. Raises `messaging.errors.ReadError`."""
    with Reader(kafka, topic) as reader:
        return counted(
            ((message.timestamp()[1], value_of(headers_of(message), "reason")) for message in reader.read_all()), end
        )


def with_dead_letters(found: Look, of: Counted, scores: tuple[int, int], end: int, policy: DriftPolicy) -> Look:
    """A look at drift, and at the dead letters: each reason is a finding, and an alarm where its share has risen.

    scores: how many there were in the last day and in the week before. end: ms. The largest reasons count each, at most 50.
    """
    from scipy import stats  # type: ignore[import-untyped]

    reasons = [reason for reason, _ in (Counter(of.day) + Counter(of.week)).most_common(_MOST)]
    totals = np.array([scores[0] + sum(of.day.values()), scores[1] + sum(of.week.values())])
    if not reasons or not totals.all():
        return found
    counts = np.array([[of.day.get(reason, 0), of.week.get(reason, 0)] for reason in reasons])
    window, before = (np.stack([counts[:, k], totals[k] - counts[:, k]], 1) for k in (0, 1))
    p = p_value(*chi_square(window, before), np.ones(len(reasons)))
    rises = window[:, 0] / totals[0] - before[:, 0] / totals[1]
    drifts = (rises >= policy.least_rise) & (stats.false_discovery_control(p) <= policy.false_discoveries)
    js, ks = jensen_shannon(window, before), kolmogorov_smirnov(window, before)
    findings = tuple(
        Finding(
            scale="day",
            against="last_week",
            what=f"dead letters: {reason}",
            begin=end - DAY,
            end=end,
            rows=int(totals[0]),
            reference_rows=int(totals[1]),
            psi=None,
            jensen_shannon=float(js[k]),
            kolmogorov_smirnov=float(ks[k]),
            ratio=None,
            rise=float(rises[k]),
            p=float(p[k]),
            is_drift=bool(drifts[k]),
        )
        for k, reason in enumerate(reasons)
    )
    alarms = tuple(Alarm(each, end) for each in findings if each.is_drift)
    return Look(found.newest + findings, found.alarms + alarms)
