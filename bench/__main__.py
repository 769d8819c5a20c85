"""The benchmark's command line: `python -m bench full | quick`, each part alone, and `report` for a saved result."""

import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from typer import Argument, Option

from bench import parts
from bench.beside_command import beside
from bench.encoded import with_transactions
from bench.environment import Environment
from bench.errors import BenchError
from bench.inputs import prepare
from bench.lane_commands import Small, choices_of, end, lane, service
from bench.large_messages import Load, large_messages
from bench.quick import quick_figures
from bench.report import write_report
from bench.result import RESULTS, load
from bench.session import Choices, Session, session
from bench.sizes import FULL, QUICK, SMALL, SMALL_QUICK, Sizes
from bench.stages import Stages, progress_on
from settings import private_files
from stack.errors import StackError

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, help=__doc__)

Flags = Annotated[list[str] | None, Argument(help="After --: flags for `python -m jobs submit`, and for the job.")]
Customers = Annotated[int, Option(min=1, help="Customers whose state the job begins with.")]
Count = Annotated[int, Option(min=1_000, help="Transactions.")]
Seconds = Annotated[float, Option(min=1, help="Seconds to measure, after the warm-up.")]
WarmUp = Annotated[float, Option(min=0, help="Seconds that do not count.")]


app.command()(lane)
app.command()(service)
app.command()(beside)


@app.callback()
def _common(
    context: typer.Context,
    partitions: Annotated[int, Option(min=1, help="Partitions of each topic.")] = 4,
    data: Annotated[Path | None, Option(help="Where to make the servers' temporary folder.")] = None,
    results: Annotated[Path, Option(help="Folder for the result.")] = RESULTS,
    busy: Annotated[bool, Option("--busy", help="Measure even where other programs use the CPU.")] = False,
) -> None:
    context.obj = Choices((), partitions, data, results, busy)


@app.command("catch-up")
def catch_up(
    context: typer.Context,
    flags: Flags = None,
    customers: Customers = FULL.customers,
    count: Count = FULL.catch_up,
    warm_up: WarmUp = FULL.catch_up_warm_up_seconds,
) -> None:
    """Work off a topic that was filled before: detect alone, and detect with publish."""
    with session("catch-up", choices_of(context, flags)) as bench:
        bench.part("catch-up", partial(parts.measure_catch_up, bench, customers, count, warm_up))
    end(bench.result)


@app.command()
def sustained(
    context: typer.Context,
    flags: Flags = None,
    customers: Customers = FULL.customers,
    rate: Annotated[list[float] | None, Option(help="Transactions a second; may be repeated.")] = None,
    seconds: Seconds = FULL.sustained_seconds,
    warm_up: WarmUp = FULL.warm_up_seconds,
) -> None:
    """Latency and lag at steady rates, publish running."""
    with session("sustained", choices_of(context, flags)) as bench:
        rates = rate or FULL.rates
        bench.part("sustained", partial(parts.measure_sustained, bench, customers, rates, (warm_up, seconds)))
    end(bench.result)


@app.command()
def growth(
    context: typer.Context,
    flags: Flags = None,
    customers: Annotated[list[int] | None, Option(help="How many; may be repeated.")] = None,
    count: Count = FULL.growth.backlog,
    seconds: Seconds = FULL.growth.seconds,
) -> None:
    """Throughput, latency, state and memory by number of customers."""
    plan = replace(FULL.growth, backlog=count, seconds=seconds)
    with session("growth", choices_of(context, flags)) as bench:
        bench.part("growth", partial(parts.measure_growth, bench, customers or FULL.growth_customers, plan))
    end(bench.result)


@app.command()
def profiles(
    context: typer.Context,
    flags: Flags = None,
    customers: Customers = FULL.customers,
    count: Count = FULL.trial.backlog,
    seconds: Seconds = FULL.trial.seconds,
    warm_up: WarmUp = FULL.trial.warm_up_seconds,
    small: Small = False,
) -> None:
    """Throughput and latency of detect with publish, by a model without and by one with profiles."""
    given = replace(FULL.trial, backlog=count, seconds=seconds, warm_up_seconds=warm_up)
    size, plan = (SMALL.customers, SMALL.trial) if small else (customers, given)
    with session("profiles", choices_of(context, flags), strict=not small) as bench:
        bench.part("profiles", partial(parts.measure_profiles, bench, size, plan))
    end(bench.result)


@app.command()
def soak(
    context: typer.Context,
    flags: Flags = None,
    customers: Customers = FULL.customers,
    rate: Annotated[float, Option(min=1, help="Transactions a second.")] = FULL.soak_rate,
    minutes: Annotated[float, Option(min=0.2, help="How long.")] = FULL.soak_minutes,
) -> None:
    """Memory and latency over ten minutes."""
    with session("soak", choices_of(context, flags)) as bench:
        bench.part("soak", partial(parts.measure_soak, bench, customers, rate, minutes * 60))
    end(bench.result)


@app.command()
def pieces(
    context: typer.Context,
    customers: Customers = FULL.customers,
    rows: Annotated[int, Option(min=100, help="Transactions in one repetition.")] = FULL.piece_rows,
    repetitions: Annotated[int, Option(min=1, help="How often; the median counts.")] = FULL.piece_repetitions,
    count: Count = FULL.generated,
) -> None:
    """Each step alone on one thread, and the generator into the broker."""
    with session("pieces", choices_of(context)) as bench:
        bench.part("pieces", partial(parts.measure_pieces, bench, customers, rows, repetitions))
        bench.part("generator", partial(parts.measure_generator, bench, customers, count))
    end(bench.result)


@app.command()
def peers(
    context: typer.Context,
    flags: Flags = None,
    peer: Annotated[
        list[str] | None, Option(help="Beginning of a script's name in bench/peers; all by default.")
    ] = None,
    customers: Customers = FULL.customers,
    rate: Annotated[float, Option(min=1, help="Transactions a second, for the latency.")] = FULL.trial.rate,
    seconds: Seconds = FULL.trial.seconds,
    warm_up: WarmUp = FULL.trial.warm_up_seconds,
    count: Count = FULL.trial.backlog,
    peer_count: Count = FULL.peer_trial.backlog,
    limit: Annotated[
        float, Option(min=1, help="Seconds that a slow peer works on its backlog.")
    ] = FULL.trial.limit_seconds,
) -> None:
    """Scoreline and its peers, one after the other, over the same input."""
    plan = replace(FULL.trial, rate=rate, warm_up_seconds=warm_up, seconds=seconds, backlog=count, limit_seconds=limit)
    with session("peers", choices_of(context, flags)) as bench:
        chosen, peer_plan = parts.chosen_peers(peer or []), replace(plan, backlog=peer_count)
        measure = partial(parts.measure_trials, bench, customers, plan, chosen, peer_plan)
        bench.part("peers", measure)
    end(bench.result)


@app.command()
def quick(context: typer.Context, small: Small = False) -> None:
    """The most important figures in four minutes; the last line on standard output is one JSON object of them."""
    sizes = SMALL_QUICK if small else QUICK
    with session("quick", choices_of(context), strict=False) as bench:
        bench.part("generator", partial(parts.measure_generator, bench, sizes.customers, sizes.generated))
        bench.part("trials", partial(_trials, bench, sizes, ["textbook"]))
    print(msgspec.json.encode(quick_figures(bench.result)).decode(), flush=True)
    end(bench.result)


@app.command()
def full(context: typer.Context, flags: Flags = None, small: Small = False) -> None:
    """Everything; takes about an hour."""
    sizes = SMALL if small else FULL
    seconds = sizes.warm_up_seconds, sizes.sustained_seconds
    with session("full", choices_of(context, flags)) as bench:
        measured = {
            "generator": partial(parts.measure_generator, bench, sizes.customers, sizes.generated),
            "pieces": partial(parts.measure_pieces, bench, sizes.customers, sizes.piece_rows, sizes.piece_repetitions),
            "catch-up": partial(
                parts.measure_catch_up, bench, sizes.customers, sizes.catch_up, sizes.catch_up_warm_up_seconds
            ),
            "sustained": partial(parts.measure_sustained, bench, sizes.customers, sizes.rates, seconds),
            "growth": partial(parts.measure_growth, bench, sizes.growth_customers, sizes.growth),
            "peers": partial(_trials, bench, sizes, []),
            "soak": partial(parts.measure_soak, bench, sizes.customers, sizes.soak_rate, sizes.soak_minutes * 60),
            "lane": partial(parts.measure_lane, bench, sizes.customers, sizes.whole_lane),
            "lane's peer": partial(parts.measure_lane_peer, bench, sizes.customers, sizes.lane),
        }
        for title, measure in measured.items():
            bench.part(title, measure)
    end(bench.result)


@app.command()
def large(
    context: typer.Context,
    count: Count = 400_000,
    message_bytes: Annotated[int, Option("--bytes", min=1_000, help="Of each message, unpacked.")] = 60_000,
    incompressible: Annotated[bool, Option("--incompressible", help="Messages that the broker stores whole.")] = False,
    planned: Annotated[
        bool, Option("--planned", help="After a start that has planned all as one micro-batch.")
    ] = False,
) -> None:
    """Memory of the job with large messages; the last line on standard output is one JSON object."""
    console, choices = Console(stderr=True), choices_of(context)
    with progress_on(console) as progress, Environment(choices.data, choices.partitions) as environment:
        made = with_transactions(environment, prepare(10_000, progress), count, progress)
        with Stages(console, progress).stage("large") as say:
            found = large_messages(environment, made, Load(count, message_bytes, not incompressible, planned), say)
    print(msgspec.json.encode(found).decode(), flush=True)


@app.command()
def report(file: Annotated[Path, Argument(exists=True, help="A result: bench/results/….json.")]) -> None:
    """Make table and pictures of a result again."""
    print(write_report(load(file), file))


def _trials(bench: Session, sizes: Sizes, peers: list[str], say) -> None:  # type: ignore[no-untyped-def]
    chosen = parts.chosen_peers(peers)
    parts.measure_trials(bench, sizes.customers, sizes.trial, chosen, sizes.peer_trial, say)


def main() -> None:
    """Runs a command; what cannot be done is one line on standard error and exit status 1."""
    try:
        app()
    except (BenchError, StackError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    private_files()
    main()
