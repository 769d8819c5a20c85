"""Accounts for every record: an anti-join of the topics by (partition, offset), and a count of the points."""

from array import array
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

import numpy as np
import numpy.typing as npt
import urllib3
import xxhash
from confluent_kafka import Message

from demo.errors import DemoError
from demo.records import decode_place, place_of_dead_letter
from jobs.publish_points import SCORE
from messaging.config import KafkaConfig
from messaging.headers import headers_of
from messaging.reader import Reader
from ml.schema import Unreadable
from settings import Settings

_OFFSET_BITS: Final = 48

Places = npt.NDArray[np.int64]
"""(n,) of (partition, offset), each packed into one integer; a place may come more than once."""


def packed(partition: int, offset: int) -> int:
    """(partition, offset) as one integer that sorts like them.

    >>> packed(2, 5), unpacked(packed(2, 5))
    (562949953421317, (2, 5))
    """
    return (partition << _OFFSET_BITS) | offset


def unpacked(place: int) -> tuple[int, int]:
    return place >> _OFFSET_BITS, place & ((1 << _OFFSET_BITS) - 1)


@dataclass(frozen=True)
class Accounts:
    """How many distinct transactions there are of each kind, and which are neither scored nor a dead letter."""

    generated: int
    scored: int
    invalid: int
    alerts: int
    missing: Places


def balanced(transactions: Places, scores: Places, dead_letters: Places, alerts: Places) -> Accounts:
    """The anti-join: `missing` are the transactions without a score and without a dead letter."""
    scored, invalid = np.unique(scores), np.unique(dead_letters)
    missing = np.setdiff1d(np.setdiff1d(transactions, scored), invalid)
    return Accounts(len(np.unique(transactions)), len(scored), len(invalid), len(np.unique(alerts)), missing)


def read_accounts(settings: Settings) -> Accounts:
    """Reads the four topics whole. Raises ReadError where Kafka does not answer."""
    kafka = KafkaConfig.from_settings(settings)

    def places(topic: str, place: Any) -> Places:
        with Reader(kafka, topic) as reader:
            return np.array(array("q", (packed(*at) for at in _readable(place, reader.read_all()))), np.int64)

    return balanced(
        places(settings.transactions_topic, lambda message: (message.partition(), message.offset())),
        places(settings.scores_topic, _place_of_score),
        places(settings.invalid_topic, lambda message: place_of_dead_letter(headers_of(message))),
        places(settings.alerts_topic, _place_of_score),
    )


def _readable(place: Any, messages: Iterable[Message]) -> Iterator[tuple[int, int]]:
    """The places of the job's own records; what is another's says nothing about any transaction."""
    for message in messages:
        with suppress(Unreadable):
            yield place(message)


def _place_of_score(message: Message) -> tuple[int, int]:
    place = decode_place(message.value())
    return place.partition, place.offset


def count_points(settings: Settings, since_ms: int) -> int:
    """Distinct points of scores whose transaction is of `since_ms` (Kafka's clock) or later, in InfluxDB or in the file."""
    if settings.points_file is not None:
        return count_points_in_file(settings.points_file)
    database, _, _ = settings.influxdb_bucket.partition("/")
    statement = f'SELECT COUNT(anomaly_score) FROM "{SCORE}" WHERE time >= {since_ms}ms'
    query = urlencode({"db": database, "q": statement})
    headers = {"Authorization": f"Token {token}"} if (token := settings.influxdb_token.get_secret_value()) else {}
    try:
        answer = urllib3.PoolManager(ca_certs=str(settings.influxdb_ca) if settings.influxdb_ca else None).request(
            "POST", f"{settings.influxdb_url}/query?{query}", headers=headers, timeout=60
        )
        result = answer.json()["results"][0]
        return int(result["series"][0]["values"][0][1]) if "series" in result else 0
    except (urllib3.exceptions.HTTPError, ValueError, KeyError, IndexError) as error:
        raise DemoError(
            f"InfluxDB at {settings.influxdb_url} does not say how many points it holds: {error}."
        ) from None


def count_points_in_file(path: Path) -> int:
    """Distinct points of scores in a file of line protocol: a point is known by measurement, tags and time."""
    if not path.exists():
        return 0
    with path.open("rb") as lines:
        return len(np.unique(np.fromiter(_identities(lines), np.uint64)))


def _identities(lines: Iterable[bytes]) -> Iterable[int]:
    """A 64-bit hash of each score's measurement, tags and time; its tags have no spaces that matter, being escaped."""
    begin = f"{SCORE},".encode()
    for line in lines:
        if line.startswith(begin):
            head = line.split(b" anomaly_score=", 1)[0]
            yield xxhash.xxh3_64_intdigest(head + line.rstrip().rsplit(b" ", 1)[-1])
