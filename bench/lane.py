"""The fast lane: latency of the service by HTTP and of its early alerts, alone and beside the Spark job, and its parity."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec
import pyarrow as pa

from bench.environment import Environment, sent_by
from bench.figures import Latency, latency
from bench.inputs import ENCODED, Input
from bench.open_loop import Load, values
from bench.outputs import Topic
from bench.parity import Compared, compare_answers, compare_scores, folded, on_topic
from bench.result import Lane
from bench.run import Run
from bench.served import Served
from bench.stages import Say
from bench.systems import PEERS_FOLDER, Scoreline
from detection.score_json import read
from ml.features import FEATURES
from settings import Settings
from stack.server import free_port

HELD_P99_MS: Final = 20.0
AT_ONCE: Final = "--at-once"
_BATCHED_AT_ONCE: Final = 20_000
_ALERTS_SECONDS: Final = 3.0
_DRAINED: Final = 500


@dataclass(frozen=True)
class LanePlan:
    """rate: a second, of all but the search for the highest, which tries `rates` one after the other up to the first with a
    p99 over 20 ms or an error. backlog: transactions before the Spark job begins; they are compared too. compared: records
    that are compared at least. peer_rates: of the peer.
    """

    rate: float = 1_000.0
    warm_up_seconds: float = 5.0
    seconds: float = 20.0
    rates: tuple[float, ...] = (1_500.0, 2_000.0, 3_000.0, 4_000.0, 5_000.0, 6_000.0)
    rate_seconds: float = 8.0
    spark_warm_up_seconds: float = 20.0
    spark_seconds: float = 30.0
    backlog: int = 60_000
    compared: int = 100_000
    peer_rates: tuple[float, ...] = (20.0, 1_000.0)
    peer_seconds: float = 8.0

    @property
    def at_rate(self) -> int:
        """Transactions of one measurement at `rate`."""
        return round(self.rate * (self.warm_up_seconds + self.seconds))

    @property
    def transactions(self) -> int:
        """How many it takes of an input."""
        alone = 2 * self.at_rate + round(sum(self.rates) * self.rate_seconds) + self.compared + _DRAINED
        beside = self.backlog + 1_000 + round(self.rate * (self.spark_warm_up_seconds + self.spark_seconds))
        return max(alone, beside)


@dataclass
class _Log:
    """How much of the input is in the log, and what was answered of it."""

    taken: int = 0
    answers: list[dict[str, Any]] = field(default_factory=list)

    def take(self, count: int) -> tuple[int, int]:
        """(first row, rows) of the next part of the input."""
        self.taken += count
        return self.taken - count, count


def lane(environment: Environment, made: Input, plan: LanePlan, say: Say, flags: Sequence[str] = ()) -> Lane:
    """Everything but the peer, which `lane_peer` measures."""
    found = Lane(plan.rate)
    settings = environment.settings("lane", made, {})
    try:
        compared = _alone(environment, settings, made, plan, found, say)
    finally:
        environment.discard(settings)
    compared += _beside_spark(environment, made, plan, found, say, flags)
    found.records_compared = sum(len(each.places) for each in compared)
    found.differing = sum(len(each.differing) for each in compared)
    return found


def _alone(
    environment: Environment, settings: Settings, made: Input, plan: LanePlan, found: Lane, say: Say
) -> list[Compared]:
    log, file = _Log(), made.transactions
    with Served.scoreline(settings, made) as service:
        say(f"/predict, {plan.rate:,.0f} a second")
        found.predict, _ = service.load(file, "/predict", plan.rate, (0, plan.at_rate), plan.warm_up_seconds)
        for rate in (plan.rate, *plan.rates):
            say(f"/transactions, {rate:,.0f} a second")
            count = plan.at_rate if rate == plan.rate else round(rate * plan.rate_seconds)
            warm_up = plan.warm_up_seconds if rate == plan.rate else plan.rate_seconds / 4
            load, answers = service.load(file, "/transactions", rate, log.take(count), warm_up)
            log.answers += answers
            found.transactions.append(load)
            if not held(load):
                break
        # At least some, so that nothing of a rate that was not held waits when the next measurement begins.
        missing = max(plan.compared - len(log.answers), _DRAINED)
        say(f"{missing:,} transactions more, to compare")
        log.answers += service.batches(list(values(file, *log.take(missing))))
        say(f"early alerts, {plan.rate:,.0f} transactions a second into Kafka")
        found.early = _early(environment, settings, made, log, plan)
    say("comparing with one fold along the log")
    fold = folded(settings, made)
    early = compare_scores(fold, on_topic(settings, settings.early_alerts_topic))
    return [compare_answers(fold, log.answers) | early]


def held(load: Load) -> bool:
    """Whether a rate is held: no error, and p99 within 20 ms."""
    return load.errors == 0 and load.latency.p99 is not None and load.latency.p99 <= HELD_P99_MS


def _early(environment: Environment, settings: Settings, made: Input, log: _Log, plan: LanePlan) -> Latency:
    """From when a transaction was due to be sent until Kafka has its alert, of what was sent after the warm-up."""
    rows = log.take(plan.at_rate)
    sent = sent_by(environment.sender(settings, made, *rows, plan.rate, AT_ONCE))
    return _early_since(settings, sent.first_ms + round(1000 * plan.warm_up_seconds))


def _early_since(settings: Settings, since_ms: int) -> Latency:
    topic = Topic(settings.kafka_bootstrap_servers, settings.early_alerts_topic)
    topic.await_quiet(_ALERTS_SECONDS)
    outputs = topic.read(with_inputs=True).since(since_ms)
    topic.close()
    return latency(outputs.written - outputs.sent)


def _beside_spark(
    environment: Environment, made: Input, plan: LanePlan, found: Lane, say: Say, flags: Sequence[str]
) -> list[Compared]:
    say(f"early alerts beside the Spark job, after a backlog of {plan.backlog:,}")
    with Run(environment, Scoreline(tuple(flags)), made, plan.backlog) as run:
        run.await_ready()
        with Served.scoreline(run.settings, made):
            say(f"early alerts beside the Spark job, {plan.rate:,.0f} transactions a second")
            seconds = plan.spark_warm_up_seconds, plan.spark_seconds
            found.spark = run.paced(plan.rate, *seconds, 60.0, AT_ONCE)
            found.early_beside_spark = _early_since(run.settings, run.measured_since_ms)
        say("comparing both lanes with one fold along the log")
        fold = folded(run.settings, made)
        topics = run.settings.early_alerts_topic, run.settings.scores_topic
        early, spark = (compare_scores(fold, on_topic(run.settings, topic)) for topic in topics)
    spark.differing.update(fold.keys() - spark.places)
    return [early | spark]


def lane_peer(environment: Environment, made: Input, plan: LanePlan, say: Say) -> list[Load]:
    """A service of FastAPI, a pickled model and a DataFrame a request; features come with the request."""
    port, folder = free_port(), environment.folder / "peer"
    folder.mkdir()
    bodies = folder / "features.arrow"
    _write_bodies(environment, made, round(max(plan.peer_rates) * plan.peer_seconds), bodies)
    command = [
        sys.executable,
        str(PEERS_FOLDER / "fastapi_service.py"),
        "--model",
        str(made.model),
        "--port",
        str(port),
    ]
    found = []
    with Served(command, folder, {}, port, "/health") as peer:
        for rate in plan.peer_rates:
            say(f"FastAPI and a DataFrame a request, {rate:,.0f} a second")
            count = round(rate * plan.peer_seconds)
            found.append(peer.load(bodies, "/predict", rate, (0, count), plan.peer_seconds / 4)[0])
    return found


def _write_bodies(environment: Environment, made: Input, count: int, path: Path) -> None:
    """Features as JSON, of the input's first transactions, as the fold makes them."""
    settings = environment.settings("features", made, {})
    try:
        environment.send(settings, made, 0, min(count, _BATCHED_AT_ONCE))
        scores = [read(value) for value in folded(settings, made).values()]
    finally:
        environment.discard(settings)
    made_bodies = [msgspec.json.encode(dict(zip(FEATURES, score.features, strict=True))) for score in scores[:count]]
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, ENCODED) as writer:
        keys = pa.array([b""] * len(made_bodies), pa.binary())
        writer.write_batch(pa.record_batch([keys, pa.array(made_bodies, pa.binary())], schema=ENCODED))
