"""Reads the scores' points from InfluxDB: a million of them in pieces."""

import io
from collections.abc import Iterator
from typing import Final, NamedTuple
from urllib.parse import urlencode

import numpy as np
import pyarrow as pa
import urllib3
from pyarrow import csv

from torture.reference import Bools, Floats, Integers

AT_ONCE: Final = 50_000

LAP: Final = 1_000_000
"""Offsets that share a lap: within its millisecond a point is at offset % LAP ns, and a tag says which lap it is."""

_MILLISECOND: Final = 1_000_000


class Points(NamedTuple):
    """n points of scores: which record each is of, by its tags and its time, and what it says."""

    partition: Integers
    offset: Integers
    kafka_time: Integers
    anomaly_score: Floats
    threshold: Floats
    is_anomaly: Bools


def points(url: str, database: str, kafka_times: Integers) -> Iterator[Points]:
    """All points of the scores, each distinct one once. kafka_times (n,): of the records that they may be of, in ms.

    What lies outside those times comes too. Raises RuntimeError where InfluxDB refuses.
    """
    times = np.sort(kafka_times)
    cuts = [f"{time * _MILLISECOND}" for time in np.unique(times[::AT_ONCE]).tolist()]
    for begin, end in zip(["", *cuts], [*cuts, ""], strict=True):
        bounds = [f"time >= {begin}"] if begin else []
        bounds += [f"time < {end}"] if end else []
        found = _answer(url, database, " AND ".join(bounds) or "time > 0")
        if found is not None:
            yield found


def _answer(url: str, database: str, where: str) -> Points | None:
    fields = 'anomaly_score, threshold, is_anomaly, "partition", lap'
    query = urlencode({"db": database, "epoch": "ns", "q": f"SELECT {fields} FROM transaction_score WHERE {where}"})
    answer = urllib3.request(
        "GET", f"{url}/query?{query}", headers={"Accept": "application/csv"}, timeout=120, retries=3
    )
    if answer.status != 200:
        raise RuntimeError(f"InfluxDB at {url} answered {answer.status}: {answer.data[:300].decode(errors='replace')}")
    return parsed(answer.data) if answer.data.strip() else None


def parsed(content: bytes) -> Points:
    """The points in an answer of InfluxDB in CSV."""
    types = {"time": pa.int64(), "anomaly_score": pa.float64(), "threshold": pa.float64(), "is_anomaly": pa.string()}
    types |= {"partition": pa.int64(), "lap": pa.int64()}
    table = csv.read_csv(io.BytesIO(content), convert_options=csv.ConvertOptions(column_types=types))
    time = table["time"].to_numpy()
    # A point without the tags belongs to no score.
    partition = np.nan_to_num(table["partition"].to_numpy(), nan=-1.0).astype(np.int64)
    lap = np.nan_to_num(table["lap"].to_numpy()).astype(np.int64)
    offset = lap * LAP + time % _MILLISECOND
    return Points(
        partition,
        offset,
        time // _MILLISECOND,
        table["anomaly_score"].to_numpy(),
        table["threshold"].to_numpy(),
        table["is_anomaly"].to_numpy() == "true",
    )
