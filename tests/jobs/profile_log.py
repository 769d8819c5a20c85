"""A log of scores and labels for the tests of profiles, and what the tasks return for pieces of it."""

import json
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from jobs.profile_counts import Counting, Span
from jobs.profile_rows import Counted, added
from jobs.seen import Seen
from ml.features import FEATURE_SET, FEATURES, HOUR, SECOND

BLOCK_SECONDS = 60
START = 1_700_000_040_000
"""The first event time (ms), where a block begins."""
LATER = START + 10 * 24 * HOUR
"""A Kafka time (ms) after that of all transactions."""
NOW = LATER
"""The time (ms) at which tasks count."""
MERCHANTS = 7
NEW = FEATURES.index("new_merchant")


class Record(NamedTuple):
    """A record of the topics scores or labels. time: its own Kafka time (ms)."""

    topic: str
    partition: int
    offset: int
    value: bytes | None
    time: int = LATER


def score(number: int, seconds: float, **changes: object) -> bytes:
    """The score of transaction `number`, so many seconds after START."""
    time = np.datetime64(START + int(seconds * 1000), "ms")
    features = [0.25 * (number % 9) if name == "log_amount" else float(number % 3 == 0) for name in FEATURES]
    value = {
        "transaction_id": f"T{number}",
        "event_time": f"{time}Z",
        "partition": number % 2,
        "offset": number // 2,
        "kafka_time": START + int(seconds * 1000),
        "merchant_id": f"M{number % MERCHANTS}",
        "merchant_category": "fuel" if number % 2 else None,
        "features": features,
        "feature_set": FEATURE_SET,
        "schema_version": 2,
    }
    return json.dumps(value | changes).encode()


def label(
    number: int, is_fraud: bool | None = True, source: str = "analyst", time: str = "2024-01-01T00:00:00Z"
) -> bytes:
    """A label of transaction `number`."""
    value = {
        "transaction_id": f"T{number}",
        "customer_id": "C",
        "is_fraud": is_fraud,
        "label_time": time,
        "source": source,
    }
    return json.dumps(value).encode()


def scores(numbers: Sequence[int], every_seconds: float = 1.0) -> list[Record]:
    """Their scores, at one a time."""
    return [Record("scores", n % 2, n // 2, score(n, n * every_seconds)) for n in numbers]


def labels(values: Sequence[bytes], first_offset: int = 0) -> list[Record]:
    """Labels, in the order of their arrival."""
    return [Record("labels", 0, first_offset + k, value) for k, value in enumerate(values)]


def counted(pieces: Sequence[Sequence[Record]], seen: bytes | None = None, now: int = NOW) -> tuple[Counted, int]:
    """What tasks return, one for each piece."""
    counting = Counting(("scores", "labels"), Span(BLOCK_SECONDS, 24.0, now), Seen().packed if seen is None else seen)
    tables = [rows for piece in pieces for rows in counting.count(iter([batch(piece[:50]), batch(piece[50:])]))]
    return added(pa.Table.from_batches(tables))


def batch(records: Sequence[Record]) -> pa.RecordBatch:
    return pa.RecordBatch.from_pydict(
        {
            "topic": pa.array([record.topic for record in records], pa.string()),
            "partition": pa.array([record.partition for record in records], pa.int32()),
            "offset": pa.array([record.offset for record in records], pa.int64()),
            "time": pa.array([record.time for record in records], pa.int64()),
            "value": pa.array([record.value for record in records], pa.binary()),
        }
    )


def seconds(block: int) -> int:
    """When a block begins, in seconds after START."""
    return block * BLOCK_SECONDS - START // SECOND
