"""What runs beside detection, over detection alone."""

from collections.abc import Callable
from typing import Final

from bench.figures import share
from bench.result import Result

ALONE: Final = "detect alone"
CHALLENGER: Final = "with a challenger"
EVERYTHING: Final = "with archive, challenger and drift"


def share_of_alone(name: str) -> Callable[[Result], float | None]:
    """Of detect alone, the throughput of a run by its name; None where one of both was not measured."""

    def value(result: Result) -> float | None:
        rates = {run.system: run.drained.throughput for run in result.beside if run.drained is not None}
        return share(rates[name], rates[ALONE]) if name in rates and ALONE in rates else None

    return value
