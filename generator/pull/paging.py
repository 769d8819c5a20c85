"""Where an answer's records are, and by which request a pull goes on."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit, urlunsplit

from generator.pull.errors import PullError
from generator.pull.service import Answer, shown


@dataclass(frozen=True)
class Paging:
    """How a service gives its records in pages.

    records: path of the list within an answer; None: the answer is the list, or has a single one. next: path of the next
    page's address or cursor. cursor: the parameter that takes the cursor; None: `next` is an address. since: the parameter
    that takes the largest value of `field` so far; field: None for the column of event_time.
    """

    records: str | None = None
    next: str | None = None
    cursor: str | None = None
    since: str | None = None
    field: str | None = None

    def __post_init__(self) -> None:
        if self.cursor is not None and self.next is None:
            raise PullError("--cursor names the parameter that takes what --next finds in an answer: give --next too")

    def records_of(self, answer: Answer, url: str) -> list[Any]:
        """The answer's records. Raises PullError where they are not there."""
        content = answer.content
        if self.records is not None:
            found = value_at(content, self.records)
            if not isinstance(found, list):
                raise PullError(
                    f"--records {self.records} has to lead to a list, but {shown(url)} answers {_words(content)}"
                )
            return found
        if isinstance(content, list):
            return content
        lists = (
            [name for name, value in content.items() if isinstance(value, list)] if isinstance(content, dict) else []
        )
        if len(lists) != 1:
            raise PullError(
                f"{shown(url)} has to answer with a list, or an object that has one, but answers {_words(content)}: "
                "say where it is by --records"
            )
        found = content[lists[0]]
        assert isinstance(found, list)
        return found

    def next_url(self, answer: Answer, url: str) -> str | None:
        """The next page's address; None where there is none."""
        found = value_at(answer.content, self.next) if self.next is not None else answer.link
        if found is None or found == "" or found is False:
            return None
        if isinstance(found, bool | dict | list):
            raise PullError(
                f"--next {self.next} has to lead to an address or a cursor, but {shown(url)} has {found!r:.80}"
            )
        following = _following(url, str(found), self.cursor)
        if following is None:
            raise PullError(
                f"{shown(url)} names as its next page what is no address and no cursor: {str(found)!r:.200}"
            )
        return None if following == url else following


def _following(url: str, found: str, cursor: str | None) -> str | None:
    if not is_text(found):
        return None
    try:
        return urljoin(url, found) if cursor is None else with_parameter(url, cursor, found)
    except ValueError:
        return None


def is_text(value: str) -> bool:
    r"""Whether a text can be sent and stored: JSON also has halves of characters.

    >>> is_text("é"), is_text("\ud800")
    (True, False)
    """
    return not any("\ud800" <= character <= "\udfff" for character in value)


def with_parameter(url: str, name: str, value: str) -> str:
    """An address with a parameter set.

    >>> with_parameter("http://a/b?limit=9&after=1", "after", "2 3")
    'http://a/b?limit=9&after=2+3'
    """
    parts = urlsplit(url)
    given = [pair for pair in parse_qsl(parts.query, keep_blank_values=True) if pair[0] != name]
    return urlunsplit(parts._replace(query=urlencode([*given, (name, value)])))


def value_at(content: Any, path: str) -> Any:
    """What a path of names with dots leads to, or the name as a whole; None where there is nothing.

    >>> value_at({"card": {"id": 7}, "a.b": 1}, "card.id"), value_at({"a.b": 1}, "a.b"), value_at([], "x")
    (7, 1, None)
    """
    if isinstance(content, dict) and path in content:
        return content[path]
    for name in path.split("."):
        content = content.get(name) if isinstance(content, dict) else None
    return content


def _words(content: Any) -> str:
    if isinstance(content, dict):
        return f"an object with {', '.join(map(str, content))[:200]}" if content else "an empty object"
    return f"{content!r:.80}"
