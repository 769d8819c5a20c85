"""One system at work on one input: it is started, fed at a pace or with a backlog, watched, and ended."""

import time
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import numpy as np

from bench.environment import Environment, sent_by
from bench.errors import BenchError
from bench.figures import (
    Window,
    count_in,
    lag,
    latency,
    measured_window,
    outputs_a_second,
    published_rate,
    readable_latency,
    second_by_second,
)
from bench.gauges import INFLUXDB, KAFKA, Gauges
from bench.inputs import Input
from bench.outputs import Outputs, Topic
from bench.programs import Running
from bench.result import Drained, Paced
from bench.sightings import Sightings
from bench.systems import System
from programs.output import first_cause

START_SECONDS: Final = 240.0
DRAIN_SECONDS: Final = 60.0
PUBLISH_SECONDS: Final = 90.0
POLL_SECONDS: Final = 0.2
STARTERS: Final = 200
END_PATIENCE_SECONDS: Final = 30.0


class Run:
    """A context: inside, the system is running, on topics, database and checkpoint of its own."""

    def __init__(
        self,
        environment: Environment,
        system: System,
        made: Input,
        filled: int = 0,
        shared: str | None = None,
        **more: Any,
    ) -> None:
        """filled: transactions that are on its topic before it starts. shared: a topic that has just these already; without
        it the run has one of its own. more: settings.
        """
        own = {} if shared is None else {"transactions_topic": shared}
        self.settings = environment.settings(system.name.split()[0].lower(), made, {**more, **own})
        self._environment, self._system, self._input = environment, system, made
        self._filled, self._shared = filled, shared
        self._publishes = system.publishes and self.settings.publish
        self._skip = self._expected = 0
        self.start_seconds = 0.0
        self.measured_since_ms = 0
        self._open = ExitStack()

    def __enter__(self) -> Self:
        try:
            self._begin()
        except BaseException:
            self._open.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()

    def _begin(self) -> None:
        settings, servers = self.settings, self._environment.stack
        self._open.callback(self._environment.discard, settings, self._shared)
        begin = self._take(self._filled)
        if self._filled and self._shared is None:
            self._environment.send(settings, self._input, begin, self._filled)
        self._began = time.monotonic()
        command = self._system.command(settings, self._input)
        scratch = {"SPARK_LOCAL_DIRS": str(Path(settings.checkpoint).parent / "spark")}
        self.program = Running("system", settings.log_dir, command, settings.environment() | scratch)
        self._open.callback(self.end)
        names = settings.scores_topic, settings.alerts_topic, settings.invalid_topic
        self._topics = [Topic(settings.kafka_bootstrap_servers, name) for name in names]
        self._scores, self._alerts, self._invalid = self._topics
        for topic in self._topics:
            self._open.callback(topic.close)
        processes = {KAFKA: servers.kafka.pid, INFLUXDB: servers.influxdb.pid}
        self.gauges = self._open.enter_context(Gauges(processes, lambda: self.program.pid))
        self.sightings = Sightings(settings.influxdb_url, settings.influxdb_bucket.split("/")[0])
        if self._publishes:
            self._open.enter_context(self.sightings)

    def end(self) -> None:
        """SIGTERM, and what is left after some time is killed; what it wrote stays until the context ends."""
        self.program.end(END_PATIENCE_SECONDS)

    def await_ready(self) -> None:
        """Sends a few transactions and waits until they are scored."""
        self._environment.send(self.settings, self._input, self._take(STARTERS), STARTERS)
        self._await_first(self._expected)
        self.start_seconds = time.monotonic() - self._began
        self._read(with_inputs=False)

    def paced(
        self, rate: float, warm_up_seconds: float, seconds: float, drain_seconds: float = DRAIN_SECONDS, *more: str
    ) -> Paced:
        """Sends at this rate; measures what was sent after the warm-up and came out while sending or so long after it."""
        count = round(rate * (warm_up_seconds + seconds))
        sent = sent_by(self._environment.sender(self.settings, self._input, self._take(count), count, rate, *more))
        self._await(self._expected, drain_seconds)
        self._await_published()
        unaccounted = self._expected - self._outputs
        scores, alerts, invalid = self._read(with_inputs=True)
        since = self.measured_since_ms = sent.first_ms + int(warm_up_seconds * 1000)
        window = Window(since, sent.last_ms)
        inputs = (sent.first_ms + np.arange(sent.records) * 1000 / rate).astype(np.int64)
        kept, kept_alerts = scores.since(since), alerts.since(since)
        return Paced(
            rate=rate,
            seconds=seconds,
            warm_up_seconds=warm_up_seconds,
            sent=sent.records,
            unaccounted=unaccounted,
            sender_behind_ms=sent.most_behind_ms,
            scores=latency(kept.written - kept.sent),
            alerts=latency(kept_alerts.written - kept_alerts.sent),
            readable=readable_latency(kept.sent, kept.written, self.sightings.seen) if self._publishes else None,
            lag=lag(inputs, np.sort(np.concatenate([scores.written, invalid.written])), since, sent.last_ms),
            cpu_us_per_txn=self._cpu(window, rate * window.seconds),
            memory_bytes=self.gauges.memory_at_most(),
            each_second=second_by_second(kept.sent, kept.written, since),
        )

    def drained(self, warm_up_seconds: float, limit_seconds: float) -> Drained:
        """How fast the transactions that were there at the start come out; so long at most from the first one on."""
        self._await_first(1)
        self.start_seconds = time.monotonic() - self._began
        complete = self._await(self._expected, limit_seconds)
        cut_ms = None if complete else int(time.time() * 1000)
        published = complete and self._await_published()
        scores, _, invalid = self._read(with_inputs=False)
        outputs = np.sort(np.concatenate([scores.written, invalid.written]))
        window = measured_window(outputs, warm_up_seconds * 1000, cut_ms)
        watched = window
        if watched is not None and published:  # what publish does after the last score counts too
            watched = Window(watched.start, max(watched.end, self.sightings.seen[-1].seen_ms))
        return Drained(
            records=self._filled,
            outputs=len(outputs),
            window_seconds=window.seconds if window else 0.0,
            txn_per_s=outputs_a_second(outputs, window),
            published_txn_per_s=published_rate(self.sightings.seen, window),
            points=self.sightings.count_points() if self._publishes else None,
            cpu_us_per_txn=self._cpu(watched, count_in(outputs, watched) if watched else 0),
            memory_bytes=self.gauges.memory_at_most(),
            each_second=np.bincount((outputs - outputs[0]) // 1000).tolist() if len(outputs) else [],
        )

    @property
    def _outputs(self) -> int:
        return self._scores.size() + self._invalid.size()

    def _take(self, count: int) -> int:
        """The place of the next `count` rows of the input; as many more outputs are expected."""
        begin = self._skip
        self._skip += count
        self._expected += count
        return begin

    def _await_first(self, outputs: int) -> None:
        """Raises BenchError where they do not come."""
        if not self._await(outputs, START_SECONDS):
            raise BenchError(
                f"{self._system.name} did not write {outputs:,} scores in {START_SECONDS:.0f} s; it said last: "
                f"{first_cause(self.program.output)}"
            )

    def _await(self, outputs: int, seconds: float) -> bool:
        """Until there are so many outputs; False where the time was over before. Raises BenchError where the system ended."""
        deadline = time.monotonic() + seconds
        while self._outputs < outputs:
            self._check()
            if time.monotonic() > deadline:
                return False
            time.sleep(POLL_SECONDS)
        return True

    def _await_published(self) -> bool:
        """Until all scores can be read in InfluxDB, where the system says so; whether they can."""
        if not self._publishes:
            return False
        scores, deadline = self._scores.size(), time.monotonic() + PUBLISH_SECONDS
        while self.sightings.scores < scores and time.monotonic() < deadline:
            self._check()
            time.sleep(POLL_SECONDS)
        return self.sightings.scores >= scores

    def _check(self) -> None:
        """Raises what ended the system, or the watching of it: figures from a watch that has stopped would be wrong."""
        self.program.check()
        self.gauges.check()
        self.sightings.check()

    def _read(self, with_inputs: bool) -> tuple[Outputs, Outputs, Outputs]:
        scores, alerts = self._scores.read(with_inputs), self._alerts.read(with_inputs)
        return scores, alerts, self._invalid.read(with_inputs=False)

    def _cpu(self, window: Window | None, transactions: float) -> dict[str, float]:
        if window is None or not transactions:
            return {}
        return {name: used * 1e6 / transactions for name, used in self.gauges.cpu_seconds(window).items()}
