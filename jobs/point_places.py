"""What follows for a score's point from the record's place alone: its time and lap, and whether a sample takes it."""

from typing import Final

import numpy as np
import pyarrow as pa

from jobs.tallying import Columns
from jobs.throughput import LATEST_MS
from ml.mixing import mixed

_MILLISECOND: Final = 1_000_000
_LAPS: Final = 100


def placed(scores: Columns) -> Columns:
    """What makes each record a point of its own: its time_ns and its lap; the tag `partition` is the third.

    time_ns is the Kafka time of its transaction, and within that millisecond its offset's place; a million of places are a
    lap, and there are 100. So 100 million records of one partition may share a millisecond, all from the record alone: a
    retry, a restart and partitions that are added change nothing. Kafka times before 1970 (-1 means none) and after
    2262 become the first and the last millisecond that InfluxDB can hold.
    """
    place = scores["offset"].to_numpy() % (_LAPS * _MILLISECOND)
    times = np.clip(scores["kafka_time"].to_numpy(), 0, LATEST_MS)
    return {
        "time_ns": pa.array(times * _MILLISECOND + place % _MILLISECOND),
        "lap": pa.array(place // _MILLISECOND),
    }


def draw(partition: np.ndarray, offset: np.ndarray) -> np.ndarray:
    """A number in [0, 1) for each record, (n,) float64, from nothing but its place: the same at each retry."""
    x = offset.astype(np.uint64) ^ (partition.astype(np.uint64) << np.uint64(48))
    x = (x + np.uint64(0x9E3779B97F4A7C15)).astype(np.uint64)
    drawn: np.ndarray = mixed(x).astype(np.float64) / 2.0**64
    return drawn
