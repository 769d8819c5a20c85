"""Starts the queries that come after detection, each from its own folder of the checkpoint."""

from pyspark.sql import DataFrame
from pyspark.sql.streaming import StreamingQuery

from jobs.runtime.gate import Gate, Write
from settings import Settings


def start_at_intervals(
    records: DataFrame, gate: Gate, query: str, write: Write, settings: Settings, seconds: float
) -> StreamingQuery:
    """Start a query whose micro-batches go through the gate to `write`, one every so many seconds."""
    return (
        records.writeStream.foreachBatch(gate.guarded(query, write))
        .option("checkpointLocation", f"{settings.checkpoint}/{query}")
        .trigger(processingTime=f"{round(seconds * 1000)} milliseconds")
        .queryName(query)
        .start()
    )
