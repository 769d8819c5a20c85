"""Which partitions of the log this machine serves, where a log is shared out over several, and where the others are."""

import re
from pathlib import Path
from typing import Final, NamedTuple, Self

import msgspec
from kafka.partitioner.default import murmur2

from ml.yaml_file import plain
from serving.answers import Refused
from serving.errors import ServiceError
from serving.http import RequestRefused

_SPAN: Final = re.compile(r"(\d{1,9})(?:-(\d{1,9}))?")


class Elsewhere(NamedTuple):
    """A customer's partition that another machine serves, and that machine's address where it is known."""

    partition: int
    address: str | None


def served_elsewhere(other: Elsewhere) -> RequestRefused:
    """421, with where to go where it is known."""
    where = other.address or "another machine"
    detail = f"the customer's partition {other.partition} is served by {where}"
    headers = {} if other.address is None else {"location": other.address}
    return RequestRefused(Refused("served elsewhere", 421, detail, "customer_id", other.partition), headers)


class Share:
    """The partitions of one machine; `ours` None: all of them. addresses: by partition, of the other machines."""

    def __init__(self, ours: frozenset[int] | None = None, addresses: dict[int, str] | None = None) -> None:
        self._ours = ours
        self._addresses = addresses or {}

    @classmethod
    def read(cls, ours: str, elsewhere: Path | None) -> Self:
        """From the setting (`0-2,5`; empty: all) and the YAML file of the others (address: partitions).

        Raises `ServiceError`.
        """
        addresses: dict[int, str] = {}
        if elsewhere is not None:
            try:
                given = msgspec.convert(plain(elsewhere.read_text()), dict[str, str | int])
            except (OSError, ValueError) as error:
                why = " ".join(str(error).split())
                raise ServiceError(
                    f"{elsewhere} must name partitions by address (http://host:8089: 3-5), but it can't be read: {why}"
                ) from error
            for address, spans in given.items():
                addresses |= dict.fromkeys(partitions(str(spans)), address)
        return cls(partitions(ours) if ours else None, addresses)

    @property
    def name(self) -> str:
        """Alike for the replicas of one share."""
        return "all" if self._ours is None else "-".join(map(str, sorted(self._ours)))

    def has(self, partition: int) -> bool:
        """Whether this machine serves a partition."""
        return self._ours is None or partition in self._ours

    def elsewhere(self, customer_id: str, count: int) -> Elsewhere | None:
        """Where a customer is served, of a log of `count` partitions; None for here.

        By murmur2 of the key, as Kafka's clients in Java, ours and librdkafka's `murmur2_random` choose the partition.
        """
        if self._ours is None:
            return None
        partition = (murmur2(customer_id.encode()) & 0x7FFFFFFF) % count
        return None if partition in self._ours else Elsewhere(partition, self._addresses.get(partition))


def partitions(spans: str) -> frozenset[int]:
    """Numbers and spans of them. Raises `ServiceError`.

    >>> sorted(partitions("0-2, 5"))
    [0, 1, 2, 5]
    """
    found: set[int] = set()
    for span in spans.split(","):
        match = _SPAN.fullmatch(span.strip())
        if match is None:
            raise ServiceError(
                f"partitions are numbers and spans of them, as in 0-2,5, but {span.strip()!r} is neither"
            )
        first, last = int(match[1]), int(match[2] or match[1])
        if last - first > 100_000:
            raise ServiceError(f"{span.strip()} is more partitions than a topic has")
        found |= set(range(first, last + 1))
    return frozenset(found)
