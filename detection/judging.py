"""Folded messages → judged, each by the decision for its place in the log; one that fails affects no other."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol

import numpy as np

from detection.decision import Decision
from detection.halves import Rows, in_halves, in_words
from detection.ranges import Versions
from detection.score_json import Objects, judgements
from detection.trial import chosen
from ml.features import NO_POSITION

STEP = "judgement"


class HasVersions(Protocol):
    """Names what it judges by."""

    @property
    def versions(self) -> Versions:
        """The versions."""


class Judged(NamedTuple):
    """Of n folded messages: json (n,) bytes, what the decision adds to a score; is_anomaly (n,) bool. Both are None where
    there was nothing to judge, or where the judgement failed: errors, by row."""

    json: Objects
    is_anomaly: Objects
    errors: dict[int, str]


def judge(basis: np.ndarray, decisions: Sequence[tuple[int, Decision]]) -> Judged:
    """Judge messages (n,) of a `basis_type`. decisions: each with the position in the log from which it judges, in order."""
    out = Judged(np.full(len(basis), None), np.full(len(basis), None), {})
    each_says = shared_profiles(by for _, by in decisions) is None
    for number, rows in _by_decision(basis["position"], [start for start, _ in decisions]):
        one = decisions[number][1]
        _judge_by(one, basis, _left_by_challenger(one, basis, rows, out, each_says), out, each_says)
    return out


def _judge_by(
    one: Decision, basis: np.ndarray, rows: Rows, out: Judged, each_says: bool, *, may_fail: bool = False
) -> None:
    """Judge some rows into `out`, with those that fail into its errors. may_fail: it need not be able to judge anything."""

    def failed(row: int, error: Exception) -> None:
        out.errors[row] = in_words(STEP, error)

    def work(some: Rows) -> tuple[Objects, list[bool]]:
        return _judged(basis[some], one, each_says)

    def sound() -> object:
        return None if may_fail else _judged(one.typical(basis.dtype), one, each_says)

    for some, (parts, anomalies) in in_halves(work, rows, sound, failed):
        out.json[some], out.is_anomaly[some] = parts, anomalies


def _left_by_challenger(one: Decision, basis: np.ndarray, rows: Rows, out: Judged, each_says: bool) -> Rows:
    """Judge into `out` the rows that a model on trial judges; returns the others, and those that it fails for."""
    challenger, trial = one.by_challenger(), one.trial
    if challenger is None or trial is None:
        return rows
    own = chosen(basis["customer"][rows], trial.by.judges, trial.by.salt)
    tried = Judged(out.json, out.is_anomaly, {})
    _judge_by(challenger, basis, rows[own], tried, each_says, may_fail=True)
    return np.sort(np.concatenate([rows[~own], np.array(list(tried.errors), np.int64)]))


def _by_decision(positions: np.ndarray, starts: Sequence[int]) -> list[tuple[int, Rows]]:
    """The rows of each decision that has any, of those that are to be judged."""
    wanted = np.flatnonzero(positions != NO_POSITION)
    if len(starts) == 1:
        return [(0, wanted)] if len(wanted) else []
    whose = np.maximum(np.searchsorted(np.array(starts, np.int64), positions[wanted], "right") - 1, 0)
    return [(number, wanted[whose == number]) for number in np.unique(whose).tolist()]


def _judged(basis: np.ndarray, decision: Decision, says_profiles: bool) -> tuple[Objects, list[bool]]:
    found = decision.judge(basis)
    return judgements(found, decision.versions, says_profiles), found.is_anomaly.tolist()


def shared_profiles(decisions: Iterable[HasVersions]) -> int | None:
    """The version of the profiles that all of these judge by, for the end of a score; None where they differ."""
    different = {decision.versions.profiles for decision in decisions}
    return different.pop() if len(different) == 1 else None
