"""Made-up results of every part."""

from datetime import UTC, datetime

from bench.figures import Lag, latency
from bench.result import (
    CatchUp,
    Drained,
    Generator,
    Machine,
    Paced,
    Piece,
    Result,
    Soak,
    StoredState,
    Trial,
)

CPU = {"Kafka": 5.0, "driver JVM": 20.0, "Python workers": 10.0}
MEMORY = {"Kafka": 300 << 20, "driver JVM": 900 << 20}


def drained(rate: float, published: float | None = None) -> Drained:
    return Drained(1_000, 1_000, 10.0, rate, published, 1_000, CPU, MEMORY, [100, 200])


def paced(rate: float, median: int, growth: float = 0.0, unaccounted: int = 0) -> Paced:
    waited = latency([median - 10, median, median + 10])
    each = [[float(median), median + 10.0]] * 180
    return Paced(
        rate, 180.0, 0.0, 1_000, unaccounted, 1.5, waited, waited, waited, Lag(5, 9, growth, [5]), CPU, MEMORY, each
    )


def trial(system: str, rate: float, median: int, customers: int = 100_000) -> Trial:
    stored = StoredState(customers, 676, 70_000_000, 90_000_000, 95_000_000) if system == "Scoreline" else None
    return Trial(system, customers, 12.0, paced(1_000.0, median), drained(rate), stored)


def whole() -> Result:
    """A result with all parts."""
    readings = [[float(second), 1e8 * (1.1 if second >= 120 else 1.0)] for second in range(0, 181, 5)]
    return Result(
        name="full",
        started=datetime(2026, 5, 1, 12, 30, tzinfo=UTC),
        machine=Machine("a CPU", 2, 8 << 30, "Linux", 0.1, 0.02, {"pyspark": "4.2.0"}, "abc1234"),
        settings={"job flags": "none"},
        catch_up=CatchUp(100_000, drained(50_000.0), drained(40_000.0, 33_000.0)),
        sustained=[paced(1_000.0, 240), paced(20_000.0, 900), paced(30_000.0, 2_000, growth=900.0)],
        growth=[trial("Scoreline", 40_000.0, 300, 10_000), trial("Scoreline", 30_000.0, 320, 1_000_000)],
        soak=Soak(paced(1_000.0, 250), {"Kafka": readings, "driver JVM": readings}),
        pieces=[Piece("fold", "detect", 100, 0.25, 0.25), Piece("line protocol", "publish", failed="it moved")],
        trials=[trial("Scoreline", 40_000.0, 250), trial("textbook PySpark", 4_000.0, 1_000)],
        generator=Generator(1_000, 120_000.0, 125_000.0),
    )
