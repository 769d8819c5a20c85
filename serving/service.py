"""The service as a whole: what it starts, in which order, and how it ends."""

import asyncio
import gc
import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final, NamedTuple

from detection.durable_folder import DurableFolder
from detection.engine import Engine
from detection.engine import Limits as EngineLimits
from detection.folding import Messages
from detection.model_versions import ModelVersions
from detection.profile_store import ProfileStore
from detection.score_json import closing
from detection.threshold_store import ThresholdStore
from detection.version_store import VersionStore
from messaging.config import KafkaConfig
from ml.features.currencies import Rates, default_rates
from ml.features.customers import Customers
from ml.features.declared import names, read
from ml.registry.model_store import ModelStore
from ml.schema import Score, Transaction
from serving import initial_state
from serving.answers import score_of
from serving.app import Lane
from serving.app import Limits as RequestLimits
from serving.desk import Desk
from serving.early_alerts import EarlyAlerts, Lease, Sent
from serving.errors import ServiceError
from serving.intake import Intake
from serving.judge import Judge, ServiceLedger
from serving.log import Log
from serving.metrics import Metrics
from serving.policies import Policies
from serving.policy import PolicyError
from serving.snapshots import Snapshots
from serving.tail import Limits as TailLimits
from serving.tail import Tail
from settings import Settings, local_path
from versions.errors import NoModel, PastUnusable
from versions.newest import Newest
from versions.past_profiles import PastProfiles, read_past_profiles

_log = logging.getLogger(__name__)

_READY_RECORDS: Final = 1_000
_DRAIN_SECONDS: Final = 10.0


class State(NamedTuple):
    """Whether requests are answered, and in words why not."""

    ready: bool
    words: str


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
        self._declared = read(settings.extras_file)
        self._stopping = False
        self._why = "starting"
        self._caught_up = False
        self.customers = Customers(capacity=1 << 16)
        self.states = threading.Lock()
        self.lane: Lane | None = None
        self._tail: Tail | None = None
        self._closers: list[Callable[[], object]] = []

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin to load; requests are refused until `state` is ready."""
        threading.Thread(target=self._start, args=(loop,), name="start", daemon=True).start()

    @property
    def state(self) -> State:
        """Whether it answers."""
        tail = self._tail
        if tail is None or self.lane is None:
            return State(False, self._why)
        if tail.failure is not None:
            return State(False, f"the log is no longer followed: {tail.failure}")
        if not self._caught_up:
            return State(False, f"catching up: {tail.behind:,} records to read")
        return State(True, "ready")

    def refresh(self) -> None:
        """Bring the gauges up to date."""
        tail, metrics = self._tail, self.metrics
        if tail is None:
            return
        metrics.lag_records.set(tail.behind)
        metrics.lag_seconds.set(tail.age_seconds if tail.behind else 0.0)
        metrics.customers.set(self.customers.count)

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
        log = Log.look(self._kafka, settings.transactions_topic)
        judge = self._judge(log)
        snapshots = Snapshots(self._folder / "state", log.topic, log.id, settings.serve_snapshot_seconds)
        start = self._states(log, snapshots)
        limits = EngineLimits(settings.max_transaction_bytes, settings.max_future_hours, self._rates)
        engine = Engine(self.customers, limits, self._declared)
        engine.touched = []
        topic = settings.early_alerts_topic
        lease = Lease(self._kafka, f"{topic}.senders", log.topic)
        alerts = EarlyAlerts(self._kafka, topic, lease, Sent(self._kafka, topic))
        self._closers.append(lambda: alerts.close(_DRAIN_SECONDS))
        desk: Desk
        intake = Intake(self._kafka, log.topic, lambda request, why: desk.fail(request, why))
        self._closers.append(lambda: intake.close(_DRAIN_SECONDS))
        desk = Desk(intake, loop, settings.serve_most_waiting)
        tail = Tail(
            *(self._kafka, log.topic, start, engine, judge, desk.deliver, alerts),
            TailLimits(settings.serve_late_seconds),
            self.states,
            self._rates.version,
        )
        tail.between += [alerts.look, lambda: self._between(tail, engine, snapshots)]
        self._closers.append(lambda: self._end(tail, engine, snapshots))
        self.lane = Lane(
            desk,
            lambda value, transaction: self._peek(engine, judge, value, transaction),
            self._policies.current,
            self._policies.thresholds,
            self.metrics,
            RequestLimits(settings.serve_request_bytes, settings.max_transaction_bytes, settings.serve_timeout_ms),
        )
        self._tail = tail
        gc.collect()
        gc.freeze()
        tail.start()

    def _states(self, log: Log, snapshots: Snapshots) -> dict[int, int]:
        self._why = "loading the customers' states"
        offsets = None if self._rebuild else snapshots.load(self.customers)
        if offsets is not None:
            return log.start(offsets)
        given = self._settings.initial_state
        if given is not None:
            offsets = initial_state.load(local_path(given), self.customers, log.topic, log.id)
        else:
            _log.warning("no --initial-state and no snapshot: all customers are new to this service")
        start = log.start(offsets)
        snapshots.seed(self.customers, start)
        return start

    def _judge(self, log: Log) -> Judge:
        self._why = "asking the registry for the champion"
        settings = self._settings
        registry = ModelStore(
            settings.mlflow_tracking_uri, settings.model_name, settings.model_alias, names(self._declared)
        )
        kept = {name: DurableFolder.on_disk(self._folder / name) for name in ("models", "tables", "profiles", "ledger")}
        store = VersionStore(
            ModelVersions(registry, kept["models"]), ThresholdStore(kept["tables"]), ProfileStore(kept["profiles"])
        )
        newest = Newest(settings, registry, store, self._past_profiles, _read)
        newest.poll(lambda: not self._stopping)
        self._policies.bind(lambda: newest.model)
        return Judge(ServiceLedger(kept["ledger"]), newest.versions, store.decision, log.id)

    def _past_profiles(self) -> PastProfiles | None:
        given = self._settings.initial_state
        if given is None:
            return None
        folder = DurableFolder.on_disk(local_path(given).parent, create=False)
        return read_past_profiles(folder, str(given), self._settings.profile_block_seconds)

    def _peek(self, engine: Engine, judge: Judge, value: bytes, transaction: Transaction) -> Score:
        now = round(time.time() * 1000)
        tail = self._tail
        decision = judge.current(tail.next if tail is not None else {})
        message = Messages([value], [transaction.customer_id.encode()], [now], [0], [0])
        with self.states:
            (outcome,) = engine.peek(
                message, decision, closing("early", None, now, decision.versions.profiles, self._rates.version)
            )
        return score_of(outcome)

    def _between(self, tail: Tail, engine: Engine, snapshots: Snapshots) -> None:
        """Between two reads of the log, in the tail's thread."""
        if engine.touched:
            snapshots.take(self.customers, engine.touched, tail.next)
        if not self._caught_up and tail.behind <= _READY_RECORDS and tail.idle:
            self._caught_up = True
            _log.info("caught up with the log: ready")

    def _end(self, tail: Tail, engine: Engine, snapshots: Snapshots) -> None:
        tail.stop()
        tail.join(_DRAIN_SECONDS)
        snapshots.finish(self.customers, engine.touched or [], tail.next, _DRAIN_SECONDS)


def _read(folder: str, file: str) -> bytes | None:
    """A file that a table of profiles was announced in."""
    return DurableFolder.on_disk(local_path(folder), create=False).read(file)
