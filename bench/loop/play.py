"""One run from its beginning to its figures, and what a person sees of it meanwhile."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from threading import Thread
from typing import Final

from bench.loop.figures import Run
from bench.loop.records import read_records
from bench.loop.result import LoopResult, Played
from bench.loop.scene import Scene, sender_of
from bench.loop.servers import Servers
from bench.machine import machine
from generator.history import write_history
from generator.report import Report
from messaging.config import KafkaConfig
from messaging.reader import Reader
from ml.features import DAY
from ml.features.events import milliseconds
from ml.registry.model_store import ModelStore
from watch.status import read_status
from watch.steps import Entry

POLL_SECONDS: Final = 1.0
LINE_SECONDS: Final = 10.0
DRAIN_SECONDS: Final = 180.0
AFTER_DAYS: Final = 6.0
"""So long it goes on after the promotion, to see what recall is."""

Say = Callable[[str], None]


def play(scene: Scene, servers: Servers, minutes: float, service: bool, say: Say) -> tuple[LoopResult, Run]:
    """One run. minutes: at most, after the drift. Raises DemoError, StackError and MessagingError where a part of it fails."""
    started, found = datetime.now(UTC), machine()
    write_history(servers.history, scene.origin, scene.origin.world())
    say(
        f"{scene.history_days} days of history of {scene.customers:,} customers, whose fraud is {', '.join(scene.before)}"
    )
    servers.start()
    servers.train()
    registry = ModelStore(servers.settings().mlflow_tracking_uri)
    champion = registry.load(registry.champion())
    say(f"trained and promoted by hand, once: version {champion.version}, xgboost, with the labels that have come")
    if service:
        servers.start_service()
    servers.start_job()
    servers.start_watcher()
    say("the job and the watcher run; from here on nobody does anything")
    following = Following(scene, servers, say)
    sender = sender_of(scene, servers.history, servers.settings(), following.progress)
    sending = Thread(target=sender.run, name="sender", daemon=True)
    sending.start()
    try:
        following.until(minutes)
    finally:
        sender.stop()
        sending.join()
    sent = sender.report()
    say("traffic ends; what is on its way is judged")
    drain(servers, sent.sent)
    servers.stop_judging()
    say("the records are read back from Kafka and counted")
    steps = servers.watching.entries()
    run = Run(
        read_records(servers.settings()), steps, milliseconds(scene.drift_begins), champion.budget, champion.version
    )
    beside = ["archive", *([_publishing(servers)] if servers.publish else []), *(["service"] if service else [])]
    origin = scene.origin
    played = Played(
        *(scene.seed, scene.customers, scene.history_days, scene.ordinary_days, scene.rate, scene.before, scene.after),
        *(origin.reporting, servers.policy, beside),
    )
    return LoopResult(started, found, played, run.figures(sent.rate), run.curve(), steps), run


def _publishing(servers: Servers) -> str:
    return "publish to " + ("InfluxDB" if servers.stack.without_influxdb is None else "a file")


@dataclass
class Following:
    """Looks at a run until some days after its promotion, and says what happens."""

    scene: Scene
    servers: Servers
    say: Say
    _report: Report = field(default_factory=Report, init=False)
    _drifted: float | None = field(default=None, init=False)
    _said: int = field(default=0, init=False)
    _next_line: float = field(default=0.0, init=False)

    def progress(self, report: Report) -> None:
        """Called by the sender's thread, which alone may ask what was sent."""
        self._report = report

    def until(self, minutes: float) -> None:
        """Returns some days after the promotion, or so many minutes after the drift where there was none."""
        with Reader(KafkaConfig.from_settings(self.servers.settings())) as reader:
            while not self._over(minutes):
                time.sleep(POLL_SECONDS)
                self.servers.check()
                if time.monotonic() >= self._next_line:
                    self._next_line = time.monotonic() + LINE_SECONDS
                    self._line(reader)

    def _over(self, minutes: float) -> bool:
        begins, newest = milliseconds(self.scene.drift_begins), self._report.last_event_time
        if self._drifted is None and newest is not None and milliseconds(newest) >= begins:
            self._drifted = time.monotonic()
            self.say(f"THE DRIFT BEGINS: fraud is {', '.join(self.scene.after)} now, and honest customers shift too")
        entries = self.servers.watching.entries()
        for entry in entries[self._said :]:
            self._entry(entry)
        self._said = len(entries)
        promoted = next((e for e in entries if e.step.kind == "promote" and e.phase == "done"), None)
        if promoted is None and self._drifted is not None and time.monotonic() - self._drifted > minutes * 60:
            self.say(f"{minutes:g} minutes after the drift: the time is over")
            return True
        status = read_status(self.servers.watching)
        seen = 0 if status is None else status.event_time or 0
        return promoted is not None and seen >= promoted.event_time + AFTER_DAYS * DAY

    def _entry(self, entry: Entry) -> None:
        """A step of the watcher, as its journal has it."""
        said = entry.step.why if entry.phase == "begun" else entry.said
        self.say(f"{self._day(entry.event_time)}  watcher: {entry.step.kind} {entry.phase}: {said}")

    def _line(self, reader: Reader) -> None:
        settings, report = self.servers.settings(), self._report
        scored = sum(reader.ends(settings.scores_topic).values())
        status = read_status(self.servers.watching)
        day = "" if report.last_event_time is None else self._day(milliseconds(report.last_event_time))
        waits = "the watcher starts" if status is None else f"the watcher waits: {status.why}"
        if status is not None and status.trial:
            waits = f"version {status.trial} on trial · {waits}"
        champion = "" if status is None else f"version {status.champion} judges · "
        self.say(f"{day}  sent {report.sent:,} · scored {scored:,} · labels {report.labels_sent:,} · {champion}{waits}")

    def _day(self, event_time: int) -> str:
        return f"day {(event_time - milliseconds(self.scene.drift_begins)) / DAY:+6.2f}"


def drain(servers: Servers, sent: int) -> None:
    """Wait until the job has judged all that was sent."""
    settings = servers.settings()
    until = time.monotonic() + DRAIN_SECONDS
    topics = settings.scores_topic, settings.invalid_topic
    with Reader(KafkaConfig.from_settings(settings)) as reader:
        while time.monotonic() < until:
            servers.check()
            if sum(sum(reader.ends(topic).values()) for topic in topics) >= sent:
                return
            time.sleep(POLL_SECONDS)
