"""What a message says: its title and body, as text, Markdown or HTML, by templates that no text of others breaks."""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote

from jinja2 import StrictUndefined, Template, TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment
from markupsafe import Markup, escape

from ml.explanation import number
from notifications import defaults
from notifications.books import Message
from notifications.errors import PolicyError
from notifications.items import Item, plain_text

FORMATS: Final = ("text", "markdown", "html")
LONGEST_TITLE: Final = 200
LONGEST_BODY: Final = 8_000
_MARKDOWN: Final = re.compile(r"([\\`*_\[\]()#|~!>{}])")
_MARKS: Final = {"info": "ℹ️", "warning": "⚠️", "critical": "🚨"}


class Wording:
    """The templates of one channel. Raises `PolicyError` where one can't be used, as with names that there are not."""

    def __init__(self, title: str | None, body: str | None) -> None:
        self._titles = {each: _compiled(each, title or defaults.TITLE, "title") for each in FORMATS}
        self._bodies = {each: _compiled(each, body or defaults.BODIES[each], "body") for each in FORMATS}
        if title is not None or body is not None:
            try:
                for sample in defaults.samples():
                    self.of(sample, "html")
            except (TemplateError, ArithmeticError, ValueError, TypeError, LookupError, AttributeError) as error:
                raise PolicyError(f"its templates can't be used: {plain_text(str(error), 300)}") from error

    def of(
        self, message: Message, form: str, longest: int = LONGEST_BODY, page_url: str | None = None
    ) -> tuple[str, str]:
        """Title and body of a message, at most so many characters long: with fewer details where there are too many."""
        title = self._titles["text"].render(_seen(message, 5, "text", page_url))
        body = ""
        for shown in (5, 2, 1, 0):
            body = self._bodies[form].render(_seen(message, shown, form, page_url)).strip()
            if len(body) <= longest:
                break
        return " ".join(title.split())[:LONGEST_TITLE], body if len(body) <= longest else _cut(body, form, longest)


def _cut(body: str, form: str, longest: int) -> str:
    """The beginning of a body; of HTML, where a cut would leave tags open, its text."""
    text = re.sub(r"<[^>]*>", " ", body) if form == "html" else body
    return " ".join(text.split(" "))[: longest - 2] + " …"


def _compiled(form: str, text: str, what: str) -> Template:
    try:
        return _ENVIRONMENTS[form].from_string(text)
    except TemplateError as error:
        raise PolicyError(f"its template of the {what} can't be used: {plain_text(str(error), 300)}") from error


def _seen(message: Message, shown: int, form: str, page_url: str | None) -> Mapping[str, Any]:
    """What a template sees."""
    new = message.new
    return {
        "message": message,
        "kind": message.kind,
        "mark": _MARKS.get(message.severity, ""),
        "severity": message.severity,
        "route": message.route,
        "case": message.case,
        "number": message.number,
        "group": message.group,
        "count": new.count,
        "total": message.total.count,
        "amounts": _amounts(new.amounts),
        "total_amounts": _amounts(message.total.amounts),
        "items": new.shown[:shown],
        "more": new.count - len(new.shown[:shown]),
        "firing": message.firing[: max(shown, 1)],
        "lines": message.lines if shown == 5 else message.lines[: 8 * shown + 2],
        "undelivered": message.undelivered,
        "undelivered_items": message.undelivered_items,
        "silences": [plain_text(each, 300) for each in message.silences],
        "is_event": bool(new.shown or message.firing)
        and all(i.record == "event" for i in [*new.shown, *message.firing]),
        "delivery": f"{message.channel}/{message.id}",
        "link": lambda item: _link(item, form, page_url),
    }


def _link(item: Item, form: str, page_url: str | None) -> Markup | str:
    """Where the page has the customer's open case, as each form writes it; empty without a page."""
    if page_url is None or not item.customer:
        return ""
    address = f"{page_url.rstrip('/')}/?customer={quote(item.customer, safe='', errors='replace')}"
    if form == "html":
        return Markup(f'<a href="{escape(address)}">open</a>')
    return Markup(f"[open]({address})") if form == "markdown" else Markup(address)


def _amounts(amounts: Mapping[str, float]) -> str:
    return ", ".join(f"{number(amount)} {currency}".strip() for currency, amount in amounts.items())


def _finalized(form: str) -> Callable[[Any], Any]:
    def finalize(value: Any) -> Any:
        if isinstance(value, Markup) or not isinstance(value, str):
            return value
        if form == "html":
            return escape(value)
        return _MARKDOWN.sub(r"\\\1", value) if form == "markdown" else value

    return finalize


def _environment(form: str) -> ImmutableSandboxedEnvironment:
    made = ImmutableSandboxedEnvironment(
        autoescape=form == "html",
        finalize=_finalized(form),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["number"] = number
    made.filters["time"] = _time
    return made


def _time(at: float) -> str:
    """A time as people read it; one before the year 1 or after 9999, as a record's own zone may make it, has none.

    >>> _time(0.0), _time(1e12)
    ('1970-01-01 00:00:00 UTC', 'at no time of a calendar')
    """
    try:
        return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M:%S} UTC"
    except (ValueError, OverflowError, OSError):
        return "at no time of a calendar"


_ENVIRONMENTS: Final = {form: _environment(form) for form in FORMATS}
