"""The command that measures what runs beside detection: `python -m bench beside`."""

from functools import partial
from typing import Annotated

import typer
from typer import Argument, Option

from bench import parts
from bench.lane_commands import Small, choices_of, end
from bench.session import session
from bench.sizes import FULL, SMALL


def beside(
    context: typer.Context,
    flags: Annotated[list[str] | None, Argument(help="After --: flags for the job, in all three runs.")] = None,
    customers: Annotated[int, Option(min=1, help="Customers whose state the job begins with.")] = FULL.customers,
    count: Annotated[int, Option(min=1_000, help="Transactions.")] = FULL.catch_up,
    warm_up: Annotated[float, Option(min=0, help="Seconds that do not count.")] = FULL.catch_up_warm_up_seconds,
    small: Small = False,
) -> None:
    """Throughput of detect alone, with a challenger, and with archive, challenger and drift."""
    size, count, warm_up = (
        (SMALL.customers, SMALL.catch_up, SMALL.catch_up_warm_up_seconds) if small else (customers, count, warm_up)
    )
    with session("beside", choices_of(context, flags), strict=not small) as bench:
        bench.part("beside", partial(parts.measure_beside, bench, size, count, warm_up))
    end(bench.result)
