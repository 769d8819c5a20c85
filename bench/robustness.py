"""The service when something happens to it: a large start, a kill, promotions under load, and callers that send nonsense."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psutil
import pyarrow as pa

from bench.environment import Environment
from bench.errors import BenchError
from bench.inputs import ENCODED, Input, two_versions
from bench.open_loop import Load, values
from bench.result import Robustness
from bench.served import Served
from bench.stages import Say
from settings import Settings

_BAD_EVERY: Final = 100
_SNAPSHOT_SECONDS: Final = 7.0
"""Longer than the pause between two snapshots, so that what is killed has one."""

_POLL_SECONDS: Final = 0.02
_AT_ONCE: Final = 20_000


@dataclass(frozen=True)
class RobustnessPlan:
    """many: customers of the large start. rate: requests a second, of all parts. bad_seconds: with one bad request in 100."""

    many: int = 1_000_000
    rate: float = 1_000.0
    before_kill_seconds: float = 5.0
    warm_up_seconds: float = 5.0
    promotion_seconds: float = 40.0
    promotion_every: float = 8.0
    bad_seconds: float = 600.0

    @property
    def transactions(self) -> int:
        """How many it takes of an input."""
        promoted = self.warm_up_seconds + self.promotion_seconds
        return round(self.rate * max(self.before_kill_seconds, promoted, self.bad_seconds)) + 1


def large_start(environment: Environment, made: Input, found: Robustness, say: Say) -> None:
    """From the start of the process until it is ready, without a backlog."""
    say(f"a start with {made.customers:,} customers")
    with _settings(environment, "start", made) as settings:
        began = time.monotonic()
        with Served.scoreline(settings, made) as service:
            found.start_seconds = time.monotonic() - began
            found.start_customers = made.customers
            assert service.program.pid is not None
            found.start_memory_bytes = psutil.Process(service.program.pid).memory_info().rss


def killed(environment: Environment, made: Input, plan: RobustnessPlan, found: Robustness, say: Say) -> None:
    """From SIGKILL until the next process answers a transaction, after some load and a snapshot."""
    say(f"a kill, with {made.customers:,} customers")
    count = round(plan.rate * plan.before_kill_seconds)
    with _settings(environment, "kill", made) as settings:
        with Served.scoreline(settings, made) as service:
            service.load(made.transactions, "/transactions", plan.rate, (0, count), 0.0)
            time.sleep(_SNAPSHOT_SECONDS)
            pid = service.program.pid
            if pid is None:
                raise BenchError(f"the service has ended: {service.program.output[-500:]}")
            os.kill(pid, signal.SIGKILL)
            began = time.monotonic()
        (body,) = values(made.transactions, count, 1)
        with Served.scoreline(settings, made) as again:
            while again.post("/transactions", body) != 200:
                time.sleep(_POLL_SECONDS)
            found.kill_seconds = time.monotonic() - began
            found.kill_customers = made.customers


def promoted(environment: Environment, made: Input, plan: RobustnessPlan, found: Robustness, say: Say) -> None:
    """A steady rate while one version and the other are promoted in turn."""
    say(f"promotions at {plan.rate:,.0f} a second")
    registry = two_versions(made, environment.folder, "promoted")
    count = round(plan.rate * (plan.warm_up_seconds + plan.promotion_seconds))
    with (
        _settings(environment, "promoted", made, mlflow_tracking_uri=registry.uri) as settings,
        Served.scoreline(settings, made) as service,
        _meanwhile(lambda number: registry.promote(2 - number % 2), plan.promotion_every) as promotions,
    ):
        load, answers = service.load(made.transactions, "/transactions", plan.rate, (0, count), plan.warm_up_seconds)
    found.across_promotions, found.promotions = load, len(promotions)
    found.versions_seen = len({answer.get("model_version") for answer in answers} - {None})


def nonsense(environment: Environment, made: Input, plan: RobustnessPlan, found: Robustness, say: Say) -> None:
    """A steady rate of which each hundredth request is none that could be answered."""
    count = round(plan.rate * plan.bad_seconds)
    say(f"{plan.bad_seconds:,.0f} s at {plan.rate:,.0f} a second, 1 % of it bad")
    file = environment.folder / "bad.arrow"
    found.bad_sent = _with_bad(values(made.transactions, 0, count), file)
    with _settings(environment, "bad", made) as settings, Served.scoreline(settings, made) as service:
        found.with_bad = service.load(file, "/transactions", plan.rate, (0, count), plan.warm_up_seconds, keep=False)[0]


def unexpected(load: Load, bad: int) -> int:
    """Good requests without a judgement, and bad ones without a 4xx of their own. bad: how many of the requests are."""
    judged = load.statuses.get(200, 0) - load.degraded
    refused = sum(count for status, count in load.statuses.items() if status in (400, 413, 422))
    return abs(load.sent - bad - judged) + abs(bad - refused)


def bad_body(good: bytes, number: int) -> bytes:
    """A request that has to be refused; another kind for each number."""
    kinds: tuple[bytes, ...] = (
        b"",
        b"no JSON",
        good[: len(good) // 2],
        b"\xff" + good,
        b"[]",
        b"[" * 2_000,
        good.replace(b'"amount":', b'"amount":"x","y":', 1),
        good.replace(b'"customer_id":', b'"no_customer_id":', 1),
        good.replace(b'"event_time":"', b'"event_time":"not ', 1),
        b" " * 70_000 + good,
    )
    return kinds[number % len(kinds)]


def _with_bad(bodies: Iterator[bytes], file: Path) -> int:
    bad, piece = 0, []
    with pa.OSFile(str(file), "wb") as out, pa.ipc.new_file(out, ENCODED) as writer:
        for number, body in enumerate(bodies):
            if number % _BAD_EVERY == _BAD_EVERY // 2:
                body, bad = bad_body(body, bad), bad + 1
            piece.append(body)
            if len(piece) == _AT_ONCE:
                _write(writer, piece)
                piece = []
        _write(writer, piece)
    return bad


def _write(writer: Any, bodies: list[bytes]) -> None:
    keys = pa.array([b""] * len(bodies), pa.binary())
    writer.write_batch(pa.record_batch([keys, pa.array(bodies, pa.binary())], schema=ENCODED))


@contextmanager
def _settings(environment: Environment, name: str, made: Input, **more: Any) -> Iterator[Settings]:
    settings = environment.settings(name, made, more)
    try:
        yield settings
    finally:
        environment.discard(settings)


@contextmanager
def _meanwhile(do: Callable[[int], None], every: float) -> Iterator[list[int]]:
    """Does something again and again, in a thread; yields the numbers of the times that it was done."""
    stopped, done = threading.Event(), list[int]()

    def repeat() -> None:
        while not stopped.wait(every):
            do(len(done))
            done.append(len(done))

    thread = threading.Thread(target=repeat, daemon=True)
    thread.start()
    try:
        yield done
    finally:
        stopped.set()
        thread.join()
