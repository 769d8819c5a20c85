"""The commands that measure the service: `python -m bench lane` and `python -m bench service`."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Annotated

import msgspec
import typer
from typer import Option

from bench import parts
from bench.lane_figures import lane_figures, robustness_figures
from bench.result import Result
from bench.session import Choices, session
from bench.sizes import FULL, SMALL

Customers = Annotated[int, Option(min=1, help="Customers whose state the service begins with.")]
Small = Annotated[bool, Option("--small", help="Tiny sizes, to see whether it works; the figures mean nothing.")]


def lane(context: typer.Context, customers: Customers = FULL.customers, small: Small = False) -> None:
    """The fast lane in eight minutes; the last line on standard output is one JSON object of its figures."""
    sizes, choices = SMALL if small else FULL, choices_of(context)
    with session("lane", choices, strict=False) as bench:
        size = sizes.customers if small else customers
        bench.part("lane", partial(parts.measure_lane, bench, size, sizes.lane))
        bench.part("lane's peer", partial(parts.measure_lane_peer, bench, size, sizes.lane))
    print(msgspec.json.encode(lane_figures(bench.result)).decode(), flush=True)
    end(bench.result)


def service(context: typer.Context, customers: Customers = FULL.customers, small: Small = False) -> None:
    """The service through a large start, a kill, promotions and ten minutes with 1 % bad requests; ends with JSON too."""
    sizes, choices = SMALL if small else FULL, choices_of(context)
    with session("service", choices, strict=False) as bench:
        size = sizes.customers if small else customers
        bench.part("a large start", partial(parts.measure_large_start, bench, sizes.robustness))
        bench.part("kill, promotions, bad requests", partial(parts.measure_robustness, bench, size, sizes.robustness))
    print(msgspec.json.encode(robustness_figures(bench.result)).decode(), flush=True)
    end(bench.result)


def end(result: Result) -> None:
    """Exit status 1 where something could not be measured."""
    failed = [
        f"{trial.system}: {trial.failed}"
        for trial in (*result.trials, *result.growth, *result.profiles, *result.beside)
        if trial.failed
    ]
    if result.failures or failed:
        raise typer.Exit(1)


def choices_of(context: typer.Context, flags: Sequence[str] | None = None) -> Choices:
    """What every part takes, with the flags of its own that are handed on."""
    common: Choices = context.obj
    return replace(common, flags=tuple(flags or ()))
