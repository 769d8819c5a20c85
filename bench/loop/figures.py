"""The run's figures: recall at an equal share of alerts, before, during and after; and the minutes by the wall clock."""

from dataclasses import dataclass

import msgspec
import numpy as np

from bench.loop.records import Records
from ml.arrays import Flags
from ml.features import DAY
from ml.thresholds.budget import threshold_for_budget
from watch.steps import Entry

MINUTE_MS = 60_000
STEP = DAY // 4
RECOVERED = 0.9
"""Of the recall before: what has to be reached again."""


class Figures(msgspec.Struct, frozen=True):
    """The last line of a run. Minutes are of the wall clock, from the first transaction after the drift began; null where it
    did not come to that. recall_…: of all frauds, each model alerting the same share of what it judged; during: from the drift
    to the promotion; after: from the promotion on; without: what the champion before says of the same records as `after`."""

    alarm_minutes: float | None
    challenger_minutes: float | None
    promoted_minutes: float | None
    recovered_minutes: float | None
    recall_before: float | None
    recall_during: float | None
    recall_after: float | None
    recall_without: float | None
    lost: int
    judged_twice: int
    transactions: int
    frauds_after: int
    alert_share: float


class Curve(msgspec.Struct, frozen=True):
    """Recall of a day of traffic that ends at each time: days since the drift began, live and as without the loop."""

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
        for entry in self.journal:
            if entry.step.kind == kind and entry.phase == "done" and role in (None, entry.step.role):
                return entry
        return None

    def curve(self) -> Curve:
        """Recall over the run, four times a day, each of the day before."""
        time = self.records.time
        ends = range(int(time[0]) + DAY, int(time[-1]) + 1, STEP)
        rows = [(time > end - DAY) & (time <= end) for end in ends]
        days = [(end - self.begins) / DAY for end in ends]
        return Curve(days, [self.recall(each) for each in rows], [self.recall(each, without=True) for each in rows])

    def figures(self) -> Figures:
        """All figures of the run."""
        records, promoted = self.records, self.time_of("promote")
        drifted = int(records.arrived[np.searchsorted(records.time, self.begins)])
        judged = records.version != self.first
        after = records.time > records.time.max() + 1
        if promoted is not None:
            new = np.flatnonzero(judged & (records.time > promoted.event_time))
            after = records.time >= (records.time[new[0]] if len(new) else np.inf)
        during = (records.time >= self.begins) & ~after
        before = self.recall(records.time < self.begins)
        return Figures(
            _minutes(self.time_of("alarm"), drifted),
            _minutes(self.time_of("challenge", "candidate"), drifted),
            _minutes(promoted, drifted),
            self._recovered(before, after, drifted),
            before,
            self.recall(during),
            self.recall(after),
            self.recall(after, without=True),
            records.lost,
            records.judged_twice,
            len(records.time),
            int(records.is_fraud[after].sum()),
            self.budget,
        )

    def _recovered(self, before: float | None, after: Flags, drifted: int) -> float | None:
        """Minutes until a whole day judged by the new champion had recall as before, nearly; by the Kafka time of its end."""
        if before is None or not after.any():
            return None
        time = self.records.time
        first = int(time[after][0])
        for end in range(first + DAY, int(time[-1]) + 1, STEP // 6):
            found = self.recall((time > end - DAY) & (time <= end))
            if found is not None and found >= RECOVERED * before:
                row = int(np.searchsorted(time, end, "right")) - 1
                return round((int(self.records.arrived[row]) - drifted) / MINUTE_MS, 2)
        return None


def _minutes(entry: Entry | None, since: int) -> float | None:
    return None if entry is None else round((entry.time - since) / MINUTE_MS, 2)
