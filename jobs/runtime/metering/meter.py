"""What a job counts, and what it is asked for when Prometheus looks."""

import bisect
import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final, NamedTuple

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from jobs.runtime.metering.families import FAMILIES, MOST_SETS, OTHER, Family

_log = logging.getLogger(__name__)

Labels = tuple[str, ...]


class Sample(NamedTuple):
    """A value of a family by the values of its labels, in their order."""

    family: Family
    value: float
    labels: Labels = ()


Source = Callable[[], Iterable[Sample]]
"""Asked at each look; what it raises leaves out its samples, and nothing else."""


class _Observed:
    """Of a histogram: how many values were at most each bound, the last of them infinity, and their sum."""

    def __init__(self, bounds: int) -> None:
        self.counts = [0.0] * (bounds + 1)
        self.sum = 0.0


class Meter(Collector):
    """Counts, in any thread, and gives all of it to prometheus-client. To count costs a dictionary's look-up and a lock."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._totals: dict[Family, dict[Labels, float]] = {family: {} for family in FAMILIES}
        self._observed: dict[Family, dict[Labels, _Observed]] = {family: {} for family in FAMILIES}
        self._sources: list[Source] = []
        self._failed: set[Source] = set()

    def add(self, family: Family, value: float, *labels: str) -> None:
        """Add to a counter."""
        with self._lock:
            known = self._totals[family]
            place = _place(known, labels)
            known[place] = known.get(place, 0.0) + value

    def observe(self, family: Family, counts: Mapping[float, int], *labels: str) -> None:
        """Add values to a histogram: in seconds, and how often each came."""
        with self._lock:
            known = self._observed[family]
            place = _place(known, labels)
            observed = known.setdefault(place, _Observed(len(family.buckets)))
            for seconds, count in counts.items():
                observed.counts[bisect.bisect_left(family.buckets, seconds)] += count
                observed.sum += seconds * count

    def ask(self, source: Source) -> None:
        """From now on ask a source at each look."""
        self._sources.append(source)

    def collect(self) -> Iterator[Metric]:
        """See `Collector`. A family of which nothing is known is left out."""
        asked: dict[Family, dict[Labels, float]] = {}
        for source in list(self._sources):
            for sample in self._samples(source):
                known = asked.setdefault(sample.family, {})
                known[_place(known, sample.labels)] = sample.value
        with self._lock:
            found = [
                metric for family in FAMILIES if (metric := self._metric(family, asked.get(family, {}))) is not None
            ]
        yield from found

    def _samples(self, source: Source) -> list[Sample]:
        try:
            found = list(source())
        except Exception as error:  # noqa: BLE001  # a figure that can't be had costs no other
            if source not in self._failed:
                self._failed.add(source)
                _log.warning("some metrics are left out: %r", error)
            return []
        self._failed.discard(source)
        return found

    def _metric(self, family: Family, asked: dict[Labels, float]) -> Metric | None:
        if family.kind == "histogram":
            return _histogram(family, self._observed[family])
        values = self._totals[family] | asked
        if not values:
            return None
        kind = CounterMetricFamily if family.kind == "counter" else GaugeMetricFamily
        metric: CounterMetricFamily | GaugeMetricFamily = kind(
            family.name.removesuffix("_total"), family.words, labels=family.labels
        )
        for labels, value in sorted(values.items()):
            metric.add_metric([_clean(label) for label in labels], value)
        return metric


def _histogram(family: Family, observed: Mapping[Labels, _Observed]) -> Metric | None:
    if not observed:
        return None
    metric = HistogramMetricFamily(family.name, family.words, labels=family.labels)
    bounds: Final = [*(repr(bound) for bound in family.buckets), "+Inf"]
    for labels, of in sorted(observed.items(), key=lambda item: item[0]):
        total, buckets = 0.0, []
        for bound, count in zip(bounds, of.counts, strict=True):
            total += count
            buckets.append((bound, total))
        metric.add_metric([_clean(label) for label in labels], buckets, of.sum)
    return metric


def _place(known: Mapping[Labels, object], labels: Labels) -> Labels:
    """Where a set of label values is counted: a family that is full has no more of them."""
    if labels in known or len(known) < MOST_SETS:
        return labels
    return tuple(OTHER for _ in labels)


def _clean(label: str) -> str:
    """As UTF-8 can say it, and not long."""
    return label[:200].encode(errors="replace").decode()
