"""What a search is for: its conditions as an address has them, and as SQL for both places that are searched."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Final, Literal, NamedTuple
from urllib.parse import urlencode

Source = Literal["live", "lake"]
Order = Literal["time", "score"]
SOURCES: Final[tuple[Source, ...]] = ("live", "lake")
ORDERS: Final[tuple[Order, ...]] = ("time", "score")

COLUMNS: Final = (
    "transaction_id",
    "event_time",
    "customer_id",
    "amount",
    "currency",
    "merchant_id",
    "merchant_category",
    "country",
    "channel",
    "anomaly_score",
    "threshold",
    "is_anomaly",
    "model_version",
    "partition",
    "offset",
)
"""Of a transaction, what a search finds; `Found` has the same."""

_LAST_CHARACTER: Final = "\U0010ffff"
_LONGEST: Final = 300


class Found(NamedTuple):
    """A transaction that was found. event_time: ms since the epoch."""

    transaction_id: str
    event_time: int
    customer_id: str
    amount: float
    currency: str | None
    merchant_id: str | None
    merchant_category: str | None
    country: str | None
    channel: str | None
    anomaly_score: float
    threshold: float
    is_anomaly: bool
    model_version: int
    partition: int
    offset: int


@dataclass(frozen=True)
class Wanted:
    """Which transactions. since ≤ event time < until, ms since the epoch; score ≤ anomaly score < below. None: any.

    An id that ends with * stands for all that begin so.
    """

    source: Source = "live"
    order: Order = "time"
    transaction: str | None = None
    customer: str | None = None
    merchant: str | None = None
    since: int | None = None
    until: int | None = None
    score: float | None = None
    below: float | None = None
    alerts: bool = False

    def condition(self, time: Callable[[int], object]) -> tuple[str, list[object]]:
        """What stands behind `where`, and its parameters. time: how the place that is searched keeps a time."""
        parts = ["true"]
        values: list[object] = []
        for column, text in (
            ("transaction_id", self.transaction),
            ("customer_id", self.customer),
            ("merchant_id", self.merchant),
        ):
            if text is not None and text.endswith("*"):
                parts.append(f"{column} >= ? and {column} < ?")
                values += [text[:-1], text[:-1] + _LAST_CHARACTER]
            elif text is not None:
                parts.append(f"{column} = ?")
                values.append(text)
        for sql, value in (
            ("event_time >= ?", None if self.since is None else time(self.since)),
            ("event_time < ?", None if self.until is None else time(self.until)),
            ("anomaly_score >= ?", self.score),
            ("anomaly_score < ?", self.below),
        ):
            if value is not None:
                parts.append(sql)
                values.append(value)
        if self.alerts:
            parts.append("is_anomaly")
        return " and ".join(parts), values


def wanted_of(said: dict[str, str]) -> tuple[Wanted, list[str]]:
    """The search that the fields of an address name, and in words what could not be read in them, which does not count.

    >>> wanted_of({"customer": " C7 ", "since": "2026-03-01", "score": "high"})[1]
    ["score has to be a number, but it is 'high'"]
    """
    wrong: list[str] = []

    def number(name: str) -> float | None:
        return _number(name, said.get(name, "").strip(), wrong)

    def time(name: str) -> int | None:
        return _time(name, said.get(name, "").strip(), wrong)

    def text(name: str) -> str | None:
        return said.get(name, "").replace("\0", "\ufffd").strip()[:_LONGEST] or None

    return Wanted(
        next((one for one in SOURCES if one == said.get("source")), "live"),
        next((one for one in ORDERS if one == said.get("order")), "time"),
        text("transaction"),
        text("customer"),
        text("merchant"),
        time("since"),
        time("until"),
        number("score"),
        number("below"),
        said.get("alerts") == "yes",
    ), wrong


def address(wanted: Wanted, page: int = 1) -> str:
    """The query string of a search and a page, without what is as by default.

    >>> address(Wanted("lake", customer="a b", since=0, alerts=True), 2)
    'source=lake&customer=a+b&since=1970-01-01T00%3A00%3A00&alerts=yes&page=2'
    """
    plain = asdict(Wanted())
    said: dict[str, Any] = {name: value for name, value in asdict(wanted).items() if value != plain[name]}
    for name in ("since", "until"):
        if name in said:
            said[name] = time_text(said[name])
    if "alerts" in said:
        said["alerts"] = "yes"
    if page > 1:
        said["page"] = page
    return urlencode(said)


def time_text(ms: int | None) -> str:
    """A time as it stands in a form and an address, UTC; empty for None.

    >>> time_text(1_000), time_text(1_001), time_text(None)
    ('1970-01-01T00:00:01', '1970-01-01T00:00:01.001', '')
    """
    if ms is None:
        return ""
    found = datetime.fromtimestamp(ms // 1000, UTC).replace(microsecond=ms % 1000 * 1000, tzinfo=None)
    return found.isoformat(timespec="milliseconds" if ms % 1000 else "seconds")


def _number(name: str, text: str, wrong: list[str]) -> float | None:
    if not text:
        return None
    try:
        found = float(text)
    except ValueError:
        found = float("nan")
    if found != found or abs(found) == float("inf"):
        wrong.append(f"{name} has to be a number, but it is {text[:40]!r}")
        return None
    return found


def _time(name: str, text: str, wrong: list[str]) -> int | None:
    if not text:
        return None
    try:
        found = datetime.fromisoformat(text)
        found = found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
        return round(found.timestamp() * 1000)
    except (ValueError, OverflowError):
        wrong.append(f"{name} has to be a time as in 2026-03-01 14:30, UTC, but it is {text[:40]!r}")
        return None
