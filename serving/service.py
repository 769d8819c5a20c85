"""The service as a whole: what it starts, in which order, and how it ends."""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Final, NamedTuple, TypeVar

from detection.engine import Engine
from detection.engine import Limits as EngineLimits
from detection.folding import Messages
from detection.hadoop_uris import on_this_machine
from detection.score_json import closing
from messaging.config import KafkaConfig
from ml.features.currencies import Rates, default_rates
from ml.features.customers import Customers
from ml.features.declared import read
from ml.schema import Score, Transaction
from serving import initial_state
from serving.answer_log import AnswerLog
from serving.answers import score_of
from serving.choosing import Limits as TailLimits
from serving.desk import Desk
from serving.early_alerts import EarlyAlerts, Lease
from serving.errors import ServiceError
from serving.intake import Intake
from serving.judge import Judge
from serving.judging import judging
from serving.lane import Lane
from serving.log import Log, PartitionWatch
from serving.metrics import Metrics
from serving.policies import Policies
from serving.policy import PolicyError
from serving.requests import Limits as RequestLimits
from serving.sent_alerts import Sent
from serving.share import Elsewhere, Share
from serving.snapshots import Snapshots
from serving.startup import until_available, warmed
from serving.tail import Tail
from settings import Settings
from versions.errors import NoModel, PastUnusable

_log = logging.getLogger(__name__)

_READY_RECORDS: Final = 1_000
_DRAIN_SECONDS: Final = 10.0

T = TypeVar("T")


class State(NamedTuple):
    """Whether requests are answered, and in words why not."""

    ready: bool
    words: str


class _Parts(NamedTuple):
    tail: Tail
    judge: Judge
    alerts: EarlyAlerts
    desk: Desk


class Service:
    """One replica. `start` returns at once; the state is loaded and the log caught up with in the background."""

    def __init__(self, settings: Settings, policies: Policies, metrics: Metrics, rebuild: bool = False) -> None:
        self._settings = settings
        self._rebuild = rebuild
        self.metrics = metrics
        self._policies = policies
        self._kafka = KafkaConfig.from_settings(settings)
        self._folder = settings.serve_state
        self._rates = default_rates() if settings.currency_rates is None else Rates.read(settings.currency_rates)
        self._currency_version = self._rates.version  # a digest: too much to make for each request
        self._declared = read(settings.extras_file)
        self._share = Share.read(settings.serve_partitions, settings.serve_elsewhere)
        self._partitions = 0
        self._stopping = False
        self._why = "starting"
        self._caught_up = False
        self.customers = Customers(capacity=1 << 16)
        self.states = threading.Lock()
        self.lane: Lane | None = None
        self._parts: _Parts | None = None
        self._refused: Callable[[], bool] = lambda: False
        self._closers: list[Callable[[], object]] = []

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin to load; requests are refused until `state` is ready."""
        threading.Thread(target=self._start, args=(loop,), name="start", daemon=True).start()

    @property
    def state(self) -> State:
        """Whether it answers."""
        if self._parts is None or self.lane is None:
            return State(False, self._why)
        tail = self._parts.tail
        if tail.failure is not None:
            return State(False, f"the log is no longer followed: {tail.failure}")
        if not self._caught_up:
            return State(False, f"catching up: {tail.behind:,} records to read")
        return State(True, "ready")

    def refresh(self) -> None:
        """Bring the metrics up to date that are not counted request by request."""
        parts, metrics = self._parts, self.metrics
        metrics.ready.set(self.state.ready)
        if parts is None:
            return
        tail, versions = parts.tail, parts.judge.versions
        metrics.bring(metrics.records, tail.read)
        metrics.bring(metrics.early_alerts, parts.alerts.sent)
        metrics.bring(metrics.early_alerts_failed, parts.alerts.failed)
        metrics.model_refused.set(self._refused())
        metrics.lag_records.set(tail.behind)
        metrics.lag_seconds.set(tail.age_seconds if tail.behind else 0.0)
        metrics.customers.set(self.customers.count)
        metrics.waiting.set(parts.desk.waiting)
        if versions is not None:
            metrics.model_version.set(versions.model)
            metrics.threshold_version.set(versions.thresholds)
            metrics.profile_version.set(versions.profiles)

    def close(self) -> None:
        """Let what is under way finish, keep the state, and end."""
        self._stopping = True
        for close in reversed(self._closers):
            with suppress(Exception):
                close()

    def _start(self, loop: asyncio.AbstractEventLoop) -> None:
        try:
            self._begin(loop)
        except (ServiceError, NoModel, PastUnusable, PolicyError) as error:
            self._why = str(error)
            _log.error("%s", error)
        except Exception as error:  # noqa: BLE001  # it is told by /ready, and in the log in full
            self._why = f"it can't start: {error}"
            _log.exception("the service can't start")

    def _begin(self, loop: asyncio.AbstractEventLoop) -> None:
        settings = self._settings
        log = self._until(lambda: Log.look(self._kafka, settings.transactions_topic, self._share.has))
        judge = self._until(lambda: self._judge(log))
        self._partitions = log.partitions
        snapshots = Snapshots(
            self._folder / "state", log.topic, log.id, self._currency_version, settings.serve_snapshot_seconds
        )
        start = self._states(log, snapshots)
        limits = EngineLimits(settings.max_transaction_bytes, settings.max_future_hours, self._rates)
        engine = Engine(self.customers, limits, self._declared)
        engine.touched = []
        topic = settings.early_alerts_topic
        sent = self._until(lambda: Sent(self._kafka, topic))
        lease = Lease(self._kafka, f"{topic}.senders.{self._share.name}", log.topic)
        alerts = EarlyAlerts(self._kafka, topic, lease, sent)
        self._closers.append(lambda: alerts.close(_DRAIN_SECONDS))
        desk: Desk
        intake = Intake(self._kafka, log.topic, lambda request, why: desk.fail(request, why))
        self._closers.append(lambda: intake.close(_DRAIN_SECONDS))
        answers = AnswerLog(self._folder / "answers")
        if self._rebuild:
            answers.clear()
        desk = Desk(intake, loop, answers, settings.serve_most_waiting)
        tail = Tail(
            *(self._kafka, log.topic, start, engine, judge, desk.deliver, alerts),
            TailLimits(settings.serve_late_seconds),
            self.states,
            self._currency_version,
        )
        tail.between += [alerts.look, lambda: self._between(tail, engine, snapshots, answers)]
        self._closers.append(lambda: self._end(tail, engine, snapshots))
        self.lane = Lane(
            desk,
            lambda value, transaction: self._peek(engine, judge, value, transaction),
            self._policies,
            lambda: judge.stamp(self._policies.digest),
            self.metrics,
            RequestLimits(settings.serve_request_bytes, settings.max_transaction_bytes, settings.serve_timeout_ms),
            self.elsewhere,
        )
        watch = PartitionWatch(self._kafka, log, lambda seen: self._widen(tail, seen), tail.fail)
        self._closers.append(watch.stop)
        self._parts = _Parts(tail, judge, alerts, desk)
        warmed(lambda value, transaction: self._peek(engine, judge, value, transaction))
        tail.start()
        watch.start()

    def _until(self, step: Callable[[], T]) -> T:
        return until_available(step, lambda: not self._stopping, self._say)

    def _say(self, why: str) -> None:
        if self._why != why:
            _log.warning("%s; trying again", why)
        self._why = why

    def _widen(self, tail: Tail, seen: Iterable[int]) -> None:
        numbers = sorted(seen)
        self._partitions = len(numbers)
        tail.widen(filter(self._share.has, numbers))

    def elsewhere(self, customer_id: str) -> Elsewhere | None:
        """Where a customer is served; None for here."""
        return self._share.elsewhere(customer_id, self._partitions)

    def _states(self, log: Log, snapshots: Snapshots) -> dict[int, int]:
        self._why = "loading the customers' states"
        offsets = None if self._rebuild else snapshots.load(self.customers)
        if offsets is not None:
            return log.start(offsets)
        given = self._settings.initial_state
        if given is not None:
            offsets = initial_state.load(on_this_machine(given), self.customers, log, self._currency_version)
        else:
            _log.warning("no --initial-state and no snapshot: all customers are new to this service")
        start = log.start(offsets)
        snapshots.seed(self.customers, start)
        return start

    def _judge(self, log: Log) -> Judge:
        self._why = "asking the registry for the champion"
        newest, judge = judging(self._settings, self._folder, self._declared, log.id)
        newest.poll(lambda: not self._stopping)
        self._refused = lambda: newest.refused
        self._policies.bind(lambda: newest.model, judge.model)
        return judge

    def _peek(self, engine: Engine, judge: Judge, value: bytes, transaction: Transaction) -> Score:
        now = round(time.time() * 1000)
        decision = judge.newest()
        message = Messages([value], [transaction.customer_id.encode()], [now], [0], [0])
        with self.states:
            (outcome,) = engine.peek(
                message, decision, closing("early", None, now, decision.versions.profiles, self._currency_version)
            )
        return score_of(outcome)

    def _between(self, tail: Tail, engine: Engine, snapshots: Snapshots, answers: AnswerLog) -> None:
        """Between two reads of the log, in the tail's thread."""
        if engine.touched and not answers.is_behind:
            snapshots.take(self.customers, engine.touched, tail.next)
        if not self._caught_up and tail.behind <= _READY_RECORDS and tail.idle:
            self._caught_up = True
            _log.info("caught up with the log: ready")

    def _end(self, tail: Tail, engine: Engine, snapshots: Snapshots) -> None:
        tail.stop()
        tail.join(_DRAIN_SECONDS)
        snapshots.finish(self.customers, engine.touched or [], tail.next, _DRAIN_SECONDS)
