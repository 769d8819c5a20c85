"""What a sender reports while it runs and when it has ended."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import msgspec

from ml.schema import Label


class Report(msgspec.Struct):
    """What has been sent, and how fast.

    seconds, rate: wall-clock time and transactions a second; speed: simulated seconds in one second; fraud, campaigns: by
    scenario; labels: sent, and still under way; next_start: where a later stream starts to continue this one.
    """

    sent: int = 0
    seconds: float = 0.0
    rate: float = 0.0
    speed: float = 0.0
    fraud: dict[str, int] = {}
    campaigns: dict[str, int] = {}
    labels_sent: int = 0
    labels_under_way: int = 0
    first_event_time: datetime | None = None
    last_event_time: datetime | None = None
    next_start: datetime | None = None


class Tally:
    """Counts what leaves the sender."""

    def __init__(self) -> None:
        self.sent = self.labels_sent = 0
        self.first_ms = self.last_ms = 0
        self._fraud: Counter[str] = Counter()
        self._campaigns: set[tuple[str, str | None]] = set()

    def transactions(self, number: int, first_ms: int, last_ms: int) -> None:
        """So many transactions have left, between these two event times (ms since the epoch)."""
        self.first_ms = self.first_ms if self.sent else first_ms
        self.sent, self.last_ms = self.sent + number, last_ms

    def truth(self, label: Label) -> None:
        """The truth about one of them has left."""
        scenario = str(label.scenario)
        self._fraud[scenario] += 1
        self._campaigns.add((scenario, label.campaign))

    def report(self, seconds: float, labels_under_way: int) -> Report:
        """All of this after so many seconds of wall-clock time."""
        made = Report(self.sent, round(seconds, 3), labels_sent=self.labels_sent, labels_under_way=labels_under_way)
        made.fraud = dict(sorted(self._fraud.items()))
        made.campaigns = dict(sorted(Counter(scenario for scenario, _ in self._campaigns).items()))
        if self.sent:
            made.first_event_time, made.last_event_time = time_of(self.first_ms), time_of(self.last_ms)
            made.next_start = made.last_event_time + timedelta(milliseconds=1)
        if seconds > 0:
            made.rate = round(self.sent / seconds, 1)
            made.speed = round((self.last_ms - self.first_ms) / 1000 / seconds, 1)
        return made


def time_of(ms: int) -> datetime:
    """A time in ms since the epoch, with its zone."""
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms)
