"""What Spark says of finished micro-batches, each counted once."""

import itertools
import json
from collections.abc import Iterator, Mapping
from typing import Any

from jobs.runtime.metering import families
from jobs.runtime.metering.families import OTHER, STAGES
from jobs.runtime.metering.meter import Meter, Sample


class Finished:
    """Of one query. It is looked at once a second, and Spark keeps what its last 100 micro-batches did."""

    def __init__(self, query: str, meter: Meter) -> None:
        self._query = query
        self._meter = meter
        self._seen: tuple[int, str] = -1, ""
        self._state: Mapping[str, int] | None = None
        for family in (families.records, families.micro_batches):
            meter.add(family, 0, query)  # else the first would be no increase
        meter.ask(self._samples)

    def look(self, spark_query: Any) -> None:
        """Count those that were not counted yet. spark_query: Spark's own `StreamingQuery`, in Java."""
        recent = spark_query.recentProgress()
        fresh = list(itertools.takewhile(self._is_fresh, (json.loads(each.json()) for each in reversed(recent))))
        for progress in reversed(fresh):
            self.count(progress)

    def _is_fresh(self, progress: Mapping[str, Any]) -> bool:
        return (progress["timestamp"], progress["batchId"]) > (self._seen[1], self._seen[0])

    def count(self, progress: Mapping[str, Any]) -> None:
        """Of one micro-batch, as the JSON of Spark's `StreamingQueryProgress` says it."""
        self._seen = progress["batchId"], progress["timestamp"]
        states = progress.get("stateOperators") or []
        if states:
            self._state = {
                name: sum(int(each.get(name, 0)) for each in states) for name in ("numRowsTotal", "memoryUsedBytes")
            }
        records = sum(int(source.get("numInputRows", 0)) for source in progress.get("sources") or [])
        if records <= 0:
            return
        stages = {name: milliseconds / 1000 for name, milliseconds in progress.get("durationMs", {}).items()}
        took = stages.pop("triggerExecution", 0.0)
        self._meter.add(families.records, records, self._query)
        self._meter.add(families.micro_batches, 1, self._query)
        self._meter.observe(families.micro_batch_duration, {took: 1}, self._query)
        for stage, seconds in stages.items():
            self._meter.add(families.stage_seconds, seconds, self._query, stage if stage in STAGES else OTHER)

    def _samples(self) -> Iterator[Sample]:
        if self._state is not None:
            yield Sample(families.state_rows, self._state["numRowsTotal"], (self._query,))
            yield Sample(families.state_bytes, self._state["memoryUsedBytes"], (self._query,))
