"""The built-in templates of messages, and samples with which a policy's own are tried."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from notifications.books import Digested, Message, Tally
from notifications.items import Item, Names

_FOLDER: Final = Path(__file__).with_name("templates")
TITLE: Final = (_FOLDER / "title.j2").read_text().rstrip()
BODIES: Final = {form: (_FOLDER / f"{form}.j2").read_text() for form in ("text", "markdown", "html")}


def samples(channel: str = "sample") -> Iterator[Message]:
    """A message of each kind."""
    alert = Item(
        key="alert/0/1",
        record="alert",
        at=1_767_225_600.0,
        severity="warning",
        names=Names(
            transaction_id="t-1", customer_id="c-17", merchant_id="m-4", country="PT", currency="EUR", record="alert"
        ),
        words=("2,000 km/h since the place before, usually at most 120 km/h",),
        score=0.83,
        amount=1_240.0,
        customer="c-17",
    )
    event = Item(
        key="event/0/1",
        record="event",
        at=1_767_225_600.0,
        severity="warning",
        names=Names(record="event", event="no_progress", subject="query publish", severity="warning"),
        words=("no progress for 6 min",),
    )
    case = Message(
        "1-1",
        channel,
        "sample",
        "case",
        alert.at,
        "warning",
        "1",
        1,
        {"customer_id": "c-17"},
        Tally.of(alert),
        Tally(1),
    )
    yield case
    yield Message(
        "1-2", channel, "sample", "update", alert.at, "warning", "1", 2, case.group, Tally.of(alert), Tally(2)
    )
    yield Message(
        "2-1", channel, "sample", "case", event.at, "warning", "2", 1, {}, Tally.of(event), Tally(1), (event,)
    )
    yield Message("2-2", channel, "sample", "repeat", event.at, "warning", "2", 2, {}, Tally(), Tally(1), (event,))
    lines = (Digested("sample", "c-17", Tally.of(alert)),)
    yield Message(
        "d1",
        channel,
        "",
        "digest",
        alert.at,
        "warning",
        1,
        1,
        {},
        Tally.of(alert),
        Tally(1),
        lines=lines,
        undelivered=1,
    )
