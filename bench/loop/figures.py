"""The run's figures: recall at an equal share of alerts, before, during and after; and the minutes by the wall clock."""

from dataclasses import dataclass
from typing import Final

import msgspec
import numpy as np

from bench.loop.records import Records
from ml.arrays import Flags
from ml.features import DAY
from ml.thresholds.budget import threshold_for_budget
from watch.steps import Entry

MINUTE_MS: Final = 60_000
STEP: Final = DAY // 4
WINDOW: Final = 2 * DAY
RECOVERED: Final = 0.9
"""Of the recall before: what has to be reached again."""
_TAKEN_UP_MS: Final = MINUTE_MS
"""So long after a promotion the champion before may still judge: what is under way, and until the job has seen it."""


class Figures(msgspec.Struct, frozen=True):
    """The last line of a run.

    ..._minutes: of the wall clock, from the arrival of the first transaction after the drift began. recall_…: of all frauds,
    each model alerting the same share of what it judged; during: from the drift to the promotion; after: from the promotion on;
    without: what the champion before says of the same records as `after`. recovered: the first time from which on the recall of
    all that was judged since the promotion, at least a day, stays at 90 % of before. frauds: before, during, after. Null: not
    measured; `not_measured` says why. rate: transactions a second as sent; lag_seconds: from Kafka to the score, of 99 in 100.
    """

    alarm_minutes: float | None
    challenger_minutes: float | None
    promoted_minutes: float | None
    recovered_minutes: float | None
    recall_before: float | None
    recall_during: float | None
    recall_after: float | None
    lost: int
    judged_twice: int
    recall_without: float | None
    promotions: int
    rollbacks: int
    transactions: int
    frauds: list[int]
    alert_share: float
    rate: float
    simulated_days_a_minute: float
    lag_seconds: float | None
    not_measured: dict[str, str]


class Curve(msgspec.Struct, frozen=True):
    """Recall of two days of traffic that end at each time: days since the drift began, live and as without the loop."""

    days: list[float]
    live: list[float | None]
    without: list[float | None]


@dataclass(frozen=True)
class Run:
    """What is measured: the records, the journal, when the drift began (event ms), and the share that each model alerts."""

    records: Records
    journal: list[Entry]
    begins: int
    budget: float
    first: int = 1

    def recall(self, rows: Flags, without: bool = False) -> float | None:
        """Of the frauds in some rows (n,), the share that is caught where each model alerts `budget` of what it judged.

        without: by the first champion's scores alone, of the rows where it spoke; None where there is no fraud.
        """
        records = self.records
        version, score = records.version, records.score
        if without:
            own = records.version == self.first
            score = np.where(own, records.score, records.other_score)
            version = np.where(own | (records.other == self.first), self.first, 0)
            rows = rows & (version == self.first)
        frauds = int(records.is_fraud[rows].sum())
        if not frauds:
            return None
        caught = 0
        for each in np.unique(version[rows]):
            of = rows & (version == each)
            if of.sum() * self.budget < 1:
                continue
            threshold = threshold_for_budget(score[of], self.budget)
            caught += int((records.is_fraud & of & (score >= threshold)).sum())
        return caught / frauds

    def time_of(self, kind: str, role: str | None = None) -> Entry | None:
        """The first entry of a step that was done."""
        return next((e for e in self._done(kind) if role in (None, e.step.role)), None)

    def _done(self, kind: str) -> list[Entry]:
        return [entry for entry in self.journal if entry.step.kind == kind and entry.phase == "done"]

    def curve(self) -> Curve:
        """Recall over the run, four times a day, each of the two days before."""
        time = self.records.time
        ends = range(int(time[0]) + WINDOW, int(time[-1]) + 1, STEP) if len(time) else range(0)
        rows = [(time > end - WINDOW) & (time <= end) for end in ends]
        days = [(end - self.begins) / DAY for end in ends]
        return Curve(days, [self.recall(each) for each in rows], [self.recall(each, without=True) for each in rows])

    def after(self) -> Flags:
        """The rows (n,) since the promotion: behind the last that the champion before it judged."""
        records, promoted = self.records, self.time_of("promote")
        if promoted is None:
            return np.zeros(len(records.time), np.bool_)
        before = (records.version != promoted.step.version) & (records.arrived < promoted.time + _TAKEN_UP_MS)
        rows: Flags = records.time > records.time[before].max(initial=0)
        return rows

    def figures(self, rate: float) -> Figures:
        """All figures of the run. rate: transactions a second, as the sender measured it."""
        records, after = self.records, self.after()
        drifted = np.flatnonzero(records.time >= self.begins)
        since = int(records.arrived[drifted[0]]) if len(drifted) else None
        during = (records.time >= self.begins) & ~after
        rows = (records.time < self.begins, during, after)
        before, meanwhile, afterwards = (self.recall(each) for each in rows)
        minutes = {
            "alarm_minutes": _minutes(self.time_of("alarm"), since),
            "challenger_minutes": _minutes(self.time_of("challenge", "candidate"), since),
            "promoted_minutes": _minutes(self.time_of("promote"), since),
            "recovered_minutes": self._recovered(before, after, since),
        }
        recalls = {"recall_before": before, "recall_during": meanwhile, "recall_after": afterwards}
        recalls["recall_without"] = self.recall(after, without=True)
        lag = None if records.lag_seconds is None else round(records.lag_seconds, 2)
        return Figures(
            **minutes,
            **recalls,
            lost=records.lost,
            judged_twice=records.judged_twice,
            promotions=len(self._done("promote")),
            rollbacks=len(self._done("rollback")),
            transactions=records.sent,
            frauds=[int(records.is_fraud[each].sum()) for each in rows],
            alert_share=self.budget,
            rate=round(rate, 1),
            simulated_days_a_minute=round(self._pace(), 2),
            lag_seconds=lag,
            not_measured=self._reasons({**minutes, **recalls}, since),
        )

    def _pace(self) -> float:
        time, arrived = self.records.time, self.records.arrived
        if len(time) < 2 or arrived[-1] <= arrived[0]:
            return 0.0
        return float((time[-1] - time[0]) / DAY / ((arrived[-1] - arrived[0]) / MINUTE_MS))

    def _recovered(self, before: float | None, after: Flags, since: int | None) -> float | None:
        """Minutes until recall since the promotion is as before, nearly, for good; by the Kafka time of that moment."""
        if before is None or since is None or not after.any():
            return None
        time = self.records.time
        first = int(time[after][0])
        good: int | None = None
        for end in range(first + DAY, int(time[-1]) + 1, STEP // 6):
            found = self.recall(after & (time <= end))
            if found is None or found < RECOVERED * before:
                good = None
            elif good is None:
                good = end
        if good is None:
            return None
        row = int(np.searchsorted(time, good, "right")) - 1
        return round((int(self.records.arrived[row]) - since) / MINUTE_MS, 2)

    def _reasons(self, found: dict[str, float | None], since: int | None) -> dict[str, str]:
        """Why a figure is missing."""
        if since is None:
            return {name: "no transaction after the drift was judged" for name, value in found.items() if value is None}
        steps = {"alarm_minutes": "no drift alarm", "challenger_minutes": "no version was put on trial"}
        steps |= {"promoted_minutes": "no version was promoted"}
        usual = "no fraud was judged then"
        if self.time_of("promote") is None:
            usual = "no version was promoted"
        elif found["recall_after"] is not None:
            steps["recovered_minutes"] = f"recall did not stay at {RECOVERED:.0%} of before until the end of the run"
        return {name: steps.get(name, usual) for name, value in found.items() if value is None}


def _minutes(entry: Entry | None, since: int | None) -> float | None:
    return None if entry is None or since is None else round((entry.time - since) / MINUTE_MS, 2)
