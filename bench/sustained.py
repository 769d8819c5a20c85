"""Sustained: latency and lag at steady rates, publish running; and a soak, which is the same for longer."""

from bench.environment import Environment
from bench.inputs import Input
from bench.result import Paced, Soak
from bench.run import Run
from bench.stages import Say
from bench.systems import Scoreline


def sustained(
    environment: Environment, made: Input, rate: float, seconds: tuple[float, float], flags: tuple[str, ...], say: Say
) -> Paced:
    """One rate, with a job of its own. seconds: of warm-up, and then of measuring."""
    say(f"{rate:,.0f} transactions a second for {seconds[1]:,.0f} s")
    with Run(environment, Scoreline(flags), made) as run:
        run.await_ready()
        return run.paced(rate, *seconds)


def soak(environment: Environment, made: Input, rate: float, seconds: float, flags: tuple[str, ...], say: Say) -> Soak:
    """One long run. Its first seconds count: the report compares its end with its second minute."""
    say(f"{rate:,.0f} transactions a second for {seconds:,.0f} s")
    with Run(environment, Scoreline(flags), made) as run:
        run.await_ready()
        began = run.gauges.readings[-1].time_ms
        paced = run.paced(rate, 0.0, seconds)
        memory: dict[str, list[list[float]]] = {}
        for reading in run.gauges.readings:
            for name, used in reading.memory_bytes.items():
                if began <= reading.time_ms <= began + seconds * 1000:
                    memory.setdefault(name, []).append([(reading.time_ms - began) / 1000, float(used)])
    return Soak(paced, memory)
