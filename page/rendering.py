"""Templates, and how texts that anybody may have written are shown."""

import unicodedata
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import msgspec
from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from page.access import User, hidden_field
from page.parts import parts_of

HERE: Final = Path(__file__).parent
SHOWN: Final = 48
"""Characters of an id that are shown; the whole one stands in its title, up to `_LONGEST_TITLE`."""

MENU: Final = [
    ("/", "Queue"),
    ("/overview", "Overview"),
    ("/search", "Search"),
    ("/suppressions", "Suppressions"),
    ("/history", "History"),
]
"""What the head of each page leads to: (address, name)."""

_LONGEST_TITLE: Final = 512
_INVISIBLE: Final = ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")


def visible(text: object, longest: int = SHOWN) -> str:
    """A text as it can be shown: what is invisible or turns the direction of writing stands as its number; cut where long.

    >>> visible("a\\u202eb"), visible("x" * 100, 5), visible(None)
    ('a\\\\u202eb', 'xxxx…', '–')
    """
    if text is None or text == "":
        return "–"
    whole = str(text)
    cut = whole if len(whole) <= longest else whole[: longest - 1] + "…"
    return "".join(f"\\u{ord(c):04x}" if unicodedata.category(c) in _INVISIBLE else c for c in cut)


def whole(text: object) -> str:
    """The same, as much as a title holds."""
    return visible(text, _LONGEST_TITLE)


def clock_time(ms: float | None) -> str:
    """A time as a person reads it, UTC.

    >>> clock_time(0), clock_time(None), clock_time(10**18)
    ('1970-01-01 00:00:00', '–', '–')
    """
    if ms is None:
        return "–"
    try:
        return f"{datetime.fromtimestamp(ms / 1000, UTC):%Y-%m-%d %H:%M:%S}"
    except (OverflowError, ValueError, OSError):
        return "–"


def money(amount: float) -> str:
    """An amount with two digits, or as a power where it is absurd.

    >>> money(1234.5), money(1e300)
    ('1,234.50', '1e+300')
    """
    return f"{amount:,.2f}" if abs(amount) < 1e12 else f"{amount:.3g}"


@lru_cache
def templates() -> Environment:
    """The templates; everything that they are given is escaped."""
    found = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters |= {"visible": visible, "whole": whole, "clock": clock_time, "money": money}
    found.filters["reason_name"] = lambda name: visible(str(name).replace("_", " "), 40)
    found.filters["json"] = lambda value: msgspec.json.encode(value).decode()
    return found


def render(request: Request, name: str, user: User, status: int = 200, **values: Any) -> HTMLResponse:
    """A page made of a template, of what every page shows, and of its own values."""
    beat = parts_of(request).pulse.beat()
    text = (
        templates()
        .get_template(name)
        .render(
            user=user, beat=beat, menu=MENU, hidden_field=lambda: hidden_field(request), path=request.url.path, **values
        )
    )
    return HTMLResponse(text, status)
