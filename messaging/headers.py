"""The headers of a record that confluent-kafka has read: anybody may have written it."""

from collections.abc import Sequence
from operator import methodcaller
from typing import Final

from confluent_kafka import Message

Headers = Sequence[tuple[str, bytes | None]]

_asked: Final = methodcaller("headers")
"""Where a name is not UTF-8 the client (2.16) returns and leaves an error set. A plain call lets it through once Python has
specialized it, and it is raised later by whatever comes next; called from C it is a SystemError at once."""


def headers_of(message: Message) -> Headers:
    """The headers, in their order; none where the client can't read them, as where a name is not UTF-8.

    To be called once for a message: a second call returns what the failed one left.
    """
    try:
        found = _asked(message)
    except (SystemError, UnicodeDecodeError):
        return ()
    return list(found.items()) if isinstance(found, dict) else found or ()


def value_of(headers: Headers, name: str) -> bytes | None:
    """The first value of a header; None where there is none, or it is null."""
    return next((value for each, value in headers if each == name), None)
