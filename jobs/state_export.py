"""The customers' states of a checkpoint, as of its newest micro-batch, as a file that `scoreline serve` begins with."""

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from detection.durable_folder import DurableFolder
from detection.exported_state import OFFSETS_KEY, StateOf
from detection.state_log import ChunkLog
from jobs.currencies import kept_rates
from jobs.runtime.session import CONFIGURATION
from jobs.source.input_topics import recorded_ids
from ml.features import CUSTOMER, FOLD_VERSION
from ml.features.customers import Customers

DETECT: Final = "detect"
_NUMBER: Final = re.compile(r"\d+")
_STATE: Final = {name: value for name, value in CONFIGURATION.items() if "stateStore" in name or "timeZone" in name}
_LOOPBACK: Final = {
    "spark.ui.enabled": "false",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.host": "127.0.0.1",
}
_STATE_BYTES: Final = int(CUSTOMER.itemsize)
_COLUMNS: Final[dict[str, pa.DataType]] = {
    "state": pa.binary(_STATE_BYTES),
    "fold_version": pa.int32(),
    "currency_version": pa.string(),
}
_SCHEMA: Final = pa.schema(_COLUMNS)


class NothingToExport(Exception):
    """There is no state to export; the text says why."""


class Exported(NamedTuple):
    """How many customers, of which micro-batch, and the next offset of each partition."""

    customers: int
    micro_batch: int
    offsets: dict[int, int]


class _Chunks:
    """One state partition's log, as it was read."""

    def __init__(self, chunks: dict[int, bytes]) -> None:
        self._chunks = chunks

    def get(self, key: int) -> bytes | None:
        """See `detection.state_log.KeyValue`."""
        return self._chunks.get(key)

    def put(self, key: int, value: bytes) -> None:
        """Nothing is changed."""
        raise NotImplementedError

    def remove(self, key: int) -> None:
        """Nothing is changed."""
        raise NotImplementedError


def export(checkpoint: Path, topic: str, out: Path) -> Exported:
    """Write the states. The job may go on meanwhile: Spark keeps the files of its last micro-batches.

    Raises `NothingToExport` where the checkpoint has no finished micro-batch.
    """
    folder = checkpoint / DETECT
    number = _newest(folder)
    offsets = _offsets(folder, number, topic)
    topic_id = recorded_ids(DurableFolder.on_disk(checkpoint / "topics", create=False), DETECT).get(topic, "")
    schema = _SCHEMA.with_metadata({OFFSETS_KEY: msgspec.json.encode(StateOf(topic, topic_id, offsets))})
    rates = kept_rates(DurableFolder.on_disk(checkpoint / "settings", create=False)).version
    out.parent.mkdir(parents=True, exist_ok=True)
    unfinished = out.with_name(f".{out.name}.unfinished")
    count = 0
    with _session() as spark, pq.ParquetWriter(unfinished, schema) as file:
        for states in _partitions(spark, folder, number):
            count += len(states)
            buffers = [None, pa.py_buffer(states.tobytes())]
            packed = pa.FixedSizeBinaryArray.from_buffers(pa.binary(_STATE_BYTES), len(states), buffers)
            versions = pa.array(np.full(len(states), FOLD_VERSION, np.int32))
            file.write_batch(pa.record_batch([packed, versions, pa.repeat(rates, len(states))], schema=schema))
    unfinished.replace(out)
    return Exported(count, number, offsets)


def _partitions(spark: SparkSession, folder: Path, number: int) -> Iterator[np.ndarray]:
    """(n,) CUSTOMER of each state partition in turn, so that only one is held at a time."""
    found: DataFrame = (
        spark.read.format("statestore")
        .options(path=str(folder), batchId=str(number), stateVarName="customers")
        .load()
        .select("key.*", F.col("user_map_key.*"), F.col("user_map_value.*"))
        .toDF("state_key", "segment", "states")
    )
    keys = sorted(row[0] for row in found.select("state_key").distinct().collect())
    for key in keys:
        rows = found.where(F.col("state_key") == F.lit(key)).select("segment", "states").collect()
        log = ChunkLog(_Chunks({row[0]: bytes(row[1]) for row in rows}))
        head = log.head()
        customers = Customers(capacity=1 << head.customers.bit_length())
        log.read(head, customers)
        yield np.array(customers.states[: customers.count])


def _newest(folder: Path) -> int:
    commits = folder / "commits"
    numbers = [int(each.name) for each in commits.glob("*") if _NUMBER.fullmatch(each.name)]
    if not numbers:
        raise NothingToExport(f"{folder} has no finished micro-batch: give the --checkpoint of a job that has run")
    return max(numbers)


def _offsets(folder: Path, number: int, topic: str) -> dict[int, int]:
    lines = (folder / "offsets" / str(number)).read_text().splitlines()
    ends = msgspec.json.decode(lines[-1], type=dict[str, dict[str, int]])
    if topic not in ends:
        raise NothingToExport(f"{folder} reads {', '.join(ends)}, not {topic}: set SCORELINE_TRANSACTIONS_TOPIC")
    return {int(partition): offset for partition, offset in ends[topic].items()}


@contextmanager
def _session() -> Iterator[SparkSession]:
    """A session of this process's own, that reads and leaves nothing behind."""
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    builder: Any = SparkSession.builder
    builder = builder.master("local[2]").appName("state export")
    for name, value in (_STATE | _LOOPBACK).items():
        builder = builder.config(name, value)
    spark: SparkSession = builder.getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    assert (
        spark.streams.active == []
    )  # asked for: it starts the coordinator of state stores, without which none can be read
    try:
        yield spark
    finally:
        spark.stop()
