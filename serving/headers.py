"""The headers of a record: anybody may have written it."""

from collections.abc import Iterator

from confluent_kafka import Message


def values(message: Message, name: str) -> Iterator[bytes]:
    """The values of a header, in their order; none where the client can't read them, as where a name is not UTF-8."""
    try:
        headers = message.headers() or []
    except Exception:  # noqa: BLE001  # SystemError or UnicodeDecodeError, by where in the client it is raised
        return
    for header in headers:
        if header[0] == name and isinstance(header[1], bytes):
            yield header[1]
