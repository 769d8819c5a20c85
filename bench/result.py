"""What a benchmark found out, as one JSON file: every figure, and what it was measured with."""

from datetime import datetime
from pathlib import Path
from typing import Final

import msgspec

from bench.figures import Lag, Latency
from bench.open_loop import Load

RESULTS: Final = Path("bench/results")


class Drained(msgspec.Struct):
    """How fast a system got through transactions that were all there.

    outputs: scores and dead letters that came of `records` in time. window_seconds: how long was measured, after the
    warm-up. txn_per_s: outputs a second in it. published_txn_per_s: points that became readable in InfluxDB a second, and
    points how many there were in the end; None for a system that does not say so. cpu_us_per_txn: CPU time by process;
    memory_bytes: the most that each had. each_second: outputs, second by second.
    """

    records: int
    outputs: int
    window_seconds: float
    txn_per_s: float
    published_txn_per_s: float | None
    points: int | None
    cpu_us_per_txn: dict[str, float]
    memory_bytes: dict[str, int]
    each_second: list[int]

    @property
    def complete(self) -> bool:
        """Whether everything came out in time."""
        return self.outputs >= self.records

    @property
    def throughput(self) -> float:
        """What detect, and publish where it ran, got through together: the slower one's rate."""
        return self.txn_per_s if self.published_txn_per_s is None else min(self.txn_per_s, self.published_txn_per_s)


class Paced(msgspec.Struct):
    """How a system kept up with a steady rate, after the warm-up.

    unaccounted: transactions without score or dead letter when the wait for them was over. sender_behind_ms: how late the
    sender ever was; latency counts from the time at which it should have sent. each_second: [p50, p99] of the scores'
    latency by the second in which their transactions were sent.
    """

    rate: float
    seconds: float
    warm_up_seconds: float
    sent: int
    unaccounted: int
    sender_behind_ms: float
    scores: Latency
    alerts: Latency
    readable: Latency | None
    lag: Lag
    cpu_us_per_txn: dict[str, float]
    memory_bytes: dict[str, int]
    each_second: list[list[float]]


class StoredState(msgspec.Struct):
    """The customers' state after a run. record_bytes: one customer's packed record; version_bytes: the newest version of the
    state on disk (snapshot and changelogs since); state_bytes, checkpoint_bytes: the whole folders, with older versions.
    """

    customers: int
    record_bytes: int
    version_bytes: int
    state_bytes: int
    checkpoint_bytes: int


class CatchUp(msgspec.Struct):
    """Detect alone, and detect with publish, through the same topic that was filled before."""

    customers: int
    detect: Drained
    with_publish: Drained | None = None


class Soak(msgspec.Struct):
    """A long steady run. memory_bytes: by process, [seconds since the start, bytes] at each reading."""

    paced: Paced
    memory_bytes: dict[str, list[list[float]]]


class Piece(msgspec.Struct):
    """One piece alone, on one thread, the median of some repetitions: microseconds a transaction, cpu_us of them on a CPU.

    rows: in one repetition. side: whose work it is, detect's, publish's or the generator's. failed: why there is no figure.
    """

    name: str
    side: str
    rows: int = 0
    us: float = 0.0
    cpu_us: float = 0.0
    failed: str | None = None


class Trial(msgspec.Struct):
    """One system's turn: a backlog, then a steady rate. failed: why there are no figures, or not all.

    start_seconds: until its first output, from the backlog.
    """

    system: str
    customers: int
    start_seconds: float | None = None
    paced: Paced | None = None
    drained: Drained | None = None
    stored: StoredState | None = None
    failed: str | None = None


class Generator(msgspec.Struct):
    """The generator at full speed into the broker: transactions a second as the topic grew, and as it says itself."""

    records: int
    txn_per_s: float
    own_txn_per_s: float


class Lane(msgspec.Struct):
    """The service: requests at a steady rate, and its early alerts, alone and beside the Spark job.

    transactions: at `rate` and then at rising rates up to the first that is not held. early: from when a transaction was due
    in Kafka until its alert is there. spark: what the job did meanwhile. peer: another service, `/predict` alone.
    records_compared: of both lanes, by their places, with one fold along the log; differing: those that are not the same to
    the last bit.
    """

    rate: float
    predict: Load | None = None
    transactions: list[Load] = []
    early: Latency | None = None
    early_beside_spark: Latency | None = None
    spark: Paced | None = None
    peer: list[Load] = []
    records_compared: int = 0
    differing: int | None = None


class Robustness(msgspec.Struct):
    """The service when something happens to it.

    start: until it is ready, with so many customers' states, and its memory then. kill: from SIGKILL until the next process
    answers. across_promotions: a steady rate while other versions were promoted, of which the answers show so many.
    with_bad: a steady rate with so many requests that have to be refused.
    """

    start_customers: int = 0
    start_seconds: float | None = None
    start_memory_bytes: int | None = None
    kill_customers: int = 0
    kill_seconds: float | None = None
    promotions: int = 0
    versions_seen: int = 0
    across_promotions: Load | None = None
    bad_sent: int = 0
    with_bad: Load | None = None


class Machine(msgspec.Struct):
    """What all was measured on. load_average: of the last minute at the start; busy: share of the CPU that others used then."""

    cpu: str
    cores: int
    memory_bytes: int
    system: str
    load_average: float
    busy: float
    versions: dict[str, str]
    commit: str


class Result(msgspec.Struct):
    """All that one call of the benchmark measured; parts that it did not measure are None or empty."""

    name: str
    started: datetime
    machine: Machine
    settings: dict[str, str]
    catch_up: CatchUp | None = None
    sustained: list[Paced] = []
    growth: list[Trial] = []
    soak: Soak | None = None
    pieces: list[Piece] = []
    trials: list[Trial] = []
    generator: Generator | None = None
    lane: Lane | None = None
    robustness: Robustness | None = None
    profiles: list[Trial] = []
    beside: list[Trial] = []
    failures: dict[str, str] = {}

    @property
    def file_name(self) -> str:
        return f"{self.started:%Y-%m-%d-%H%M%S}-{self.name}.json"


def save(result: Result, folder: Path) -> Path:
    """Writes the result as it is by now; called after every part, so that what breaks later costs nothing."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / result.file_name
    part = path.with_suffix(".part")
    part.write_bytes(msgspec.json.format(msgspec.json.encode(result)))
    part.replace(path)
    return path


def load(path: Path) -> Result:
    """A result that was saved. Raises msgspec.DecodeError where the file is none."""
    return msgspec.json.decode(path.read_bytes(), type=Result)
