"""All that a job shows to Prometheus, put together."""

import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from jobs.runtime.health import HealthFile
from jobs.runtime.known_causes import explain
from jobs.runtime.metering import families
from jobs.runtime.metering.endpoint import serve
from jobs.runtime.metering.families import OTHER, STATES
from jobs.runtime.metering.lag_watch import LagWatch
from jobs.runtime.metering.meter import Meter, Sample
from jobs.runtime.metering.processes import Processes
from jobs.runtime.progress import Progress
from settings import Settings


class Watched(NamedTuple):
    """A query: its health, what reads how far it has come, and what it reports that it uses."""

    health: HealthFile
    progress: Callable[[], Progress]
    facts: Callable[[], Mapping[str, Any]]


def show(
    settings: Settings, meter: Meter, queries: Mapping[str, Watched], jvm_pid: int, checkpoint: Path | None
) -> None:
    """Begin to show the metrics of these queries; without a port nothing begins. checkpoint: where it is on a local disk."""
    if not settings.metrics_port:
        return
    started = time.time()
    meter.ask(lambda: [Sample(families.started, started)])
    meter.ask(Processes(jvm_pid))
    for query, watched in queries.items():
        meter.ask(_Query(query, watched, settings.model_name))
    if checkpoint is not None:
        meter.ask(lambda: [Sample(families.disk_free, shutil.disk_usage(checkpoint).free)])
    lag = LagWatch(settings, settings.transactions_topic, {query: of.progress for query, of in queries.items()})
    meter.ask(lag)
    lag.start()
    serve(settings, meter)


def failed(meter: Meter, query: str, error: BaseException) -> None:
    """Count a failure by its known cause."""
    known = explain(error).known
    meter.add(families.failures, 1, query, OTHER if known is None else known.name)


@dataclass(frozen=True, eq=False)
class _Query:
    name: str
    watched: Watched
    model_name: str

    def __call__(self) -> Iterator[Sample]:
        health, own = self.watched.health.health, (self.name,)
        for state in STATES:
            yield Sample(families.state, float(health.state == state), (self.name, state))
        yield Sample(families.failing_since, health.failing_since or 0.0, own)
        yield Sample(families.attempts, health.attempts, own)
        if health.committed_at is not None:
            yield Sample(families.last_commit, health.committed_at, own)
        facts = self.watched.facts()
        if "model" in facts:
            yield Sample(families.model_info, 1, (self.model_name, str(facts["model"])))
        for fact, family in _FACTS.items():
            if facts.get(fact) is not None:
                yield Sample(family, float(facts[fact]))


_FACTS = {
    "model": families.model_version,
    "thresholds": families.threshold_version,
    "profiles": families.profile_version,
    "budget": families.alert_budget,
    "refused": families.model_refused,
}
"""What detect reports that it judges by."""
