"""What is killed when: drawn from a seed, and done to the real processes."""

import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

import msgspec
import psutil

from stack.errors import StackError
from stack.server import Server
from torture.application import Application
from torture.proxy import Proxy
from torture.servers import Servers

SHARES: Final[dict[str, int]] = {
    "driver": 18,
    "driver's Python": 7,
    "worker": 22,
    "worker daemon": 5,
    "broker": 10,
    "InfluxDB": 10,
    "MLflow": 8,
    "connections to Kafka": 8,
    "connections to InfluxDB": 5,
    "Kafka hangs": 4,
    "InfluxDB hangs": 3,
}
"""Of a hundred kills so many are of each kind."""

WITH_SERVICE: Final = SHARES | {"service": 11}
"""The same where the service runs beside the job."""

RECOVERY_SECONDS: Final[dict[str, float]] = {"driver": 20.0, "driver's Python": 20.0, "broker": 8.0}
"""What a kill takes besides the ordinary pause, so that traffic is processed between two of them."""


PATIENCE_SECONDS: Final = 60.0
"""How long a kill waits for something to kill: a worker, say, while the driver is starting."""

ENDS_THE_APPLICATION: Final = ("driver", "driver's Python")
"""Kinds of which the next one waits until the application has worked again: else only its start would be tested."""


class Planned(NamedTuple):
    """A kill: seconds after the first commit, its kind, and for how many seconds what was killed stays down."""

    at: float
    kind: str
    down_seconds: float


class Done(msgspec.Struct):
    """A kill as it came about; `what` says more, and `hit` is False where there was nothing to kill at that moment."""

    time: float
    at: float
    kind: str
    what: str
    hit: bool


def planned(kills: int, seconds: float, seed: int, shares: Mapping[str, int] = SHARES) -> list[Planned]:
    """So many kills over so many seconds: kinds in the given shares, mixed, at random moments with room to recover.

    >>> plan = planned(10, 100, seed=1)
    >>> len(plan), plan == planned(10, 100, seed=1), all(0 <= kill.at <= 100 for kill in plan)
    (10, True, True)
    """
    rng = random.Random(seed)
    kinds = _apportioned(kills, shares)
    rng.shuffle(kinds)
    # The time after each kill: its recovery, and a random share of what is left.
    needs = [RECOVERY_SECONDS.get(kind, 2.0) for kind in kinds]
    scale = min(1.0, 0.7 * seconds / max(sum(needs), 1e-9))
    spare = max(0.0, seconds - scale * sum(needs))
    cuts = sorted(rng.random() for _ in kinds)
    out, passed = [], 0.0
    for kind, need, cut in zip(kinds, needs, cuts, strict=True):
        down_seconds = rng.uniform(1.0, 8.0) if kind in ("InfluxDB", "MLflow", "Kafka hangs", "InfluxDB hangs") else 0.0
        out.append(Planned(passed + cut * spare, kind, down_seconds))
        passed += scale * need
    return out


def _apportioned(kills: int, shares: Mapping[str, int]) -> list[str]:
    """Kinds in the shares: by the largest remainders, so that each kind comes where there are kills enough."""
    total = sum(shares.values())
    exact = {kind: kills * share / total for kind, share in shares.items()}
    counts = {kind: int(count) for kind, count in exact.items()}
    rest = sorted(shares, key=lambda kind: exact[kind] - counts[kind], reverse=True)
    for kind in rest[: kills - sum(counts.values())]:
        counts[kind] += 1
    return [kind for kind, count in counts.items() for _ in range(count)]


class Targets(NamedTuple):
    """What can be killed; service: what answers by HTTP; worked: how many micro-batches the application has begun by now."""

    servers: Servers
    application: Application
    service: Application
    worked: Callable[[], int]


class Killer(threading.Thread):
    """Carries a plan out, and reports each kill to `note`."""

    def __init__(self, plan: Sequence[Planned], targets: Targets, seed: int, note: Callable[[Done], None]) -> None:
        super().__init__(daemon=True, name="killer")
        self._plan, self._note = plan, note
        self._servers, self._application, self._service, self._worked = targets
        self._worked_before = -1
        self._rng = random.Random(seed)
        self._threads: list[threading.Thread] = []
        self._down: set[Server] = set()
        self.done: list[Done] = []
        self.errors: list[str] = []
        self.ended = threading.Event()

    def run(self) -> None:
        began = time.monotonic()
        for kill in self._plan:
            if self.ended.wait(max(0.0, began + kill.at - time.monotonic())):
                break
            what = self._hit(kill)
            if kill.kind in ENDS_THE_APPLICATION and what is not None:
                self._worked_before = self._worked()
            done = Done(time.time(), time.monotonic() - began, kill.kind, what or "there was none", what is not None)
            self.done.append(done)
            self._note(done)
        for thread in self._threads:
            thread.join(150)

    def _hit(self, kill: Planned) -> str | None:
        """Kill, as soon as there is something to kill; None where there was nothing for too long."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline and not self.ended.is_set():
            try:
                what = self._do(kill)
            except Exception as error:  # noqa: BLE001  # the harness's own trouble is reported, and the next kill comes
                self.errors.append(f"{kill.kind}: {type(error).__name__}: {error}")
                return None
            if what is not None:
                return what
            self.ended.wait(0.2)
        return None

    def _do(self, kill: Planned) -> str | None:
        """What was done, as a text; None where there was nothing to kill."""
        servers, application = self._servers, self._application
        if kill.kind in ENDS_THE_APPLICATION and self._worked() <= self._worked_before:
            return None
        match kill.kind:
            case "driver":
                return "SIGKILL" if application.kill() else None
            case "service":
                return "SIGKILL" if self._service.kill() else None
            case "driver's Python" | "worker" | "worker daemon":
                return self._kill_python(
                    {"driver's Python": "driver", "worker daemon": "daemon"}.get(kill.kind, "worker")
                )
            case "broker":
                return self._restarted(servers.kafka, 0.0)
            case "InfluxDB":
                return self._restarted(servers.influxdb, kill.down_seconds)
            case "MLflow":
                return self._restarted(servers.mlflow, kill.down_seconds)
            case "connections to Kafka":
                return _cut(servers.kafka.proxy)
            case "connections to InfluxDB":
                return _cut(servers.influxdb_proxy)
            case "Kafka hangs" | "InfluxDB hangs":
                proxy = servers.kafka.proxy if kill.kind == "Kafka hangs" else servers.influxdb_proxy
                proxy.hold()
                self._later(kill.down_seconds, proxy.let_go)
                return f"for {kill.down_seconds:.1f} s"
        raise ValueError(kill.kind)

    def _kill_python(self, kind: str) -> str | None:
        found = self._application.processes(kind)
        if not found:
            return None
        chosen = self._rng.choice(found)
        try:
            self._application.kill_python(chosen, ends_it=kind == "driver")
        except psutil.NoSuchProcess:
            return None
        return f"one of {len(found)}, SIGKILL"

    def _restarted(self, server: Server, down_seconds: float) -> str | None:
        """Kill a server, and start it after so many seconds; None while it is down already."""
        if server in self._down or server.pid is None:
            return None
        self._down.add(server)
        server.kill()

        def start() -> None:
            try:
                server.start()
            except StackError:
                server.start()  # its port may have been in use for a moment
            finally:
                self._down.discard(server)

        self._later(down_seconds, start)
        return f"SIGKILL, down for {down_seconds:.1f} s"

    def _later(self, seconds: float, do: Callable[[], object]) -> None:
        def wait_and_do() -> None:
            self.ended.wait(seconds)
            try:
                do()
            except Exception as error:  # noqa: BLE001  # see `run`
                self.errors.append(f"{type(error).__name__}: {error}")

        thread = threading.Thread(target=wait_and_do, daemon=True)
        thread.start()
        self._threads.append(thread)


def _cut(proxy: Proxy) -> str | None:
    """Cut what is connected; where that is seldom and short, as to InfluxDB, wait for it for some seconds."""
    for _ in range(1_000):
        if cut := proxy.cut():
            return f"{cut} cut"
        time.sleep(0.005)
    return None
