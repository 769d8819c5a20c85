"""What a healthy application reports on its console: one line when it is ready, then one a minute (`console_seconds`)."""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from kafka.errors import KafkaError

from jobs.runtime.gate import Gate
from jobs.runtime.lag import Waiting, ends, waiting
from jobs.runtime.progress import Progress
from settings import Settings


class Console:
    """`report` is called every few seconds once the application's own query runs; Kafka is asked in the background."""

    def __init__(
        self, settings: Settings, queries: list[str], gate: Gate, pid: int, progress: Callable[[], Progress]
    ) -> None:
        self._settings = settings
        self._queries = queries
        self._gate = gate
        self._pid = pid
        self._progress = progress
        self._topics = topics_of(settings, queries[0])
        self._last: tuple[float, dict[str, int]] | None = None
        self._next = 0.0
        self._asking: threading.Thread | None = None

    def report(self) -> None:
        """Print the line that is due, if one is."""
        now = time.monotonic()
        if now < self._next or (self._asking is not None and self._asking.is_alive()):
            return
        if self._next == 0.0:
            _print(ready(self._settings, self._queries, self._gate.facts(self._queries[0]), self._pid))
        self._next = now + self._settings.console_seconds
        self._asking = threading.Thread(target=self._minute, name="console", daemon=True)
        self._asking.start()

    def _minute(self) -> None:
        try:
            counts, behind = self._counts()
        except (KafkaError, OSError) as error:
            if self._last is not None:
                _print(f"{_clock()}  Kafka does not answer ({type(error).__name__}); it goes on when it does")
            return
        now = time.monotonic()
        if self._last is not None:
            then, before = self._last
            grown = {topic: counts[topic] - before.get(topic, counts[topic]) for topic in counts}
            _print(self._line(grown, now - then, behind))
        self._last = now, counts

    def _counts(self) -> tuple[dict[str, int], Waiting | None]:
        """How far each topic reaches, and how many records the first query has not read yet."""
        read = self._progress().read
        topics = sorted({*self._topics, *read})
        beginnings, found = ends(self._settings, topics)
        own = {topic: found[topic] for topic in read if topic in found}
        behind = waiting(self._settings, read, beginnings, own) if read else None
        return {topic: sum(found.get(topic, {}).values()) for topic in self._topics}, behind

    def _line(self, grown: dict[str, int], seconds: float, behind: Waiting | None) -> str:
        counted = " · ".join(f"{label} {grown[topic]:,}" for topic, label in self._topics.items())
        facts = {name: value for query in self._queries for name, value in self._gate.facts(query).items()}
        done = sum(grown[topic] for topic, label in self._topics.items() if label in ("scored", "dead letters"))
        parts = [counted, f"{done / seconds:,.0f} txn/s"]
        parts += [] if behind is None else [f"lag {'' if behind.exact else '≤ '}{behind.records:,}"]
        parts += [f"p50 {facts['latency_p50_ms']:,} ms"] if facts.get("latency_p50_ms") is not None else []
        parts += [f"model {facts['model']}"] if "model" in facts else []
        return f"{_clock()}  " + " · ".join(parts)


def topics_of(settings: Settings, query: str) -> dict[str, str]:
    """The topics whose growth shows what a query did, each with what its records are called."""
    if query == "detect":
        return {
            settings.transactions_topic: "in",
            settings.scores_topic: "scored",
            settings.alerts_topic: "alerts",
            settings.invalid_topic: "dead letters",
        }
    return {settings.scores_topic: "scored"}


def ready(settings: Settings, queries: list[str], facts: dict[str, Any], pid: int) -> str:
    """One line: what the application reads and writes, by which model, where the logs are, and how to stop it."""
    does = "; ".join(_does(settings, query, facts) for query in queries)
    logs = settings.log_dir
    return f"Scoreline is ready. {does}. Logs: {logs}. Status: python -m jobs status. Stop it: Ctrl-C or kill {pid}"


def _does(settings: Settings, query: str, facts: dict[str, Any]) -> str:
    if query == "detect":
        thresholds = "the tables of thresholds" if settings.adaptive_thresholds else "its own threshold"
        writes = f"{settings.scores_topic}, {settings.alerts_topic} and {settings.invalid_topic}"
        return (
            f"detect reads {settings.transactions_topic} at {settings.kafka_bootstrap_servers} and writes {writes}, by "
            f"model {settings.model_name} {facts.get('model', '')}".rstrip()
            + f" and {thresholds}"
        )
    if query == "publish":
        to = settings.points_file or f"InfluxDB at {settings.influxdb_url} ({settings.influxdb_bucket})"
        return f"publish writes points to {to}"
    if query == "profiles":
        return (
            f"profiles reads {settings.scores_topic} and {settings.labels_topic} and writes {settings.profiles_topic}"
        )
    if query == "archive":
        copies = "" if settings.warehouse is None else ", and copies it to PostgreSQL"
        return f"archive reads {settings.scores_topic} and {settings.labels_topic} and writes the lake {settings.lake}{copies}"
    return f"{query} reads {settings.scores_topic} and writes {settings.thresholds_topic}"


def _clock() -> str:
    return time.strftime("%H:%M:%S")


def _print(line: str) -> None:
    with suppress(OSError):  # a console that is a file on a full disk, or a closed pipe
        print(line, flush=True)
