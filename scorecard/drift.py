"""How well drift is noticed, as a page of the documentation: `python -m scorecard.drift`."""

from pathlib import Path
from typing import Annotated, Final

import msgspec
import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn

from ml import console
from ml.drift.policy import DriftPolicy
from scorecard.drift_trial import SHIFTS, DriftTrial, Noticed, Size, drift_trial, ordinary_run

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
out: Final = Console(highlight=False, soft_wrap=True)
err: Final = Console(stderr=True, highlight=False, soft_wrap=True)
COLUMNS = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
DAYS_A_YEAR: Final = 365


@app.command()
def drift(
    first_seed: Annotated[int, typer.Option(min=0, help="Seed of the first bank; the others follow.")] = 109,
    seeds: Annotated[int, typer.Option(min=1, help="How many banks.")] = 5,
    customers: Annotated[int, typer.Option(min=100, help="Customers of a bank.")] = Size.customers,
    days: Annotated[int, typer.Option(min=10, help="Ordinary days of each bank.")] = Size.days,
    train_days: Annotated[int, typer.Option(min=14, help="Days that are trained on before.")] = Size.train_days,
    calm: Annotated[bool, typer.Option(help="Banks without fraud too.")] = False,
    policy: Annotated[Path | None, typer.Option(show_default="the built-in one", help="YAML file.")] = None,
    report: Annotated[Path | None, typer.Option(help="Write every figure to this JSON file.")] = None,
) -> None:
    """Count false alarms on ordinary days, and the time until a shift is noticed. The last line is JSON."""
    read, size = DriftPolicy.read(policy), Size(customers, train_days, days)
    with Progress(*COLUMNS, console=err) as display:
        progress = console.Bars(display, keep=False)
        trials = [
            drift_trial(seed, ordinary_run(scenario), size, read, progress)
            for scenario in ("standard", *(["calm"] if calm else []))
            for seed in range(first_seed, first_seed + seeds)
        ]
    if report is not None:
        report.write_bytes(msgspec.json.format(msgspec.json.encode(trials)))
    console.show_table(out, ["bank", "transactions", "false alarms", *SHIFTS], list(map(_row, trials)), "")
    print(msgspec.json.encode(last_line(trials)).decode(), flush=True)


def _row(trial: DriftTrial) -> list[str]:
    bank = f"{trial.run} {trial.seed}"
    return [
        bank,
        f"{trial.transactions:,}",
        str(trial.false_alarms),
        *(_said(trial.noticed.get(name)) for name in SHIFTS),
    ]


def _said(noticed: Noticed | None) -> str:
    if noticed is None:
        return ""
    if noticed.minutes is None:
        return "not noticed"
    after = f"{noticed.minutes:.0f} min" if noticed.minutes < 180 else f"{noticed.minutes / 60:.0f} h"
    return f"{after}, by {noticed.by} against {(noticed.against or '').replace('_', ' ')}"


def last_line(trials: list[DriftTrial]) -> dict[str, object]:
    """In short: false alarms by run, in so many days and as of a year; of each shift the longest time, in minutes."""
    found: dict[str, object] = {}
    for run in dict.fromkeys(trial.run for trial in trials):
        of_run = [trial for trial in trials if trial.run == run]
        alarms, days = sum(trial.false_alarms for trial in of_run), sum(trial.days for trial in of_run)
        found[run] = {"days": days, "false_alarms": alarms, "a_year": round(alarms / days * DAYS_A_YEAR, 2)}
    for name in SHIFTS:
        times = [trial.noticed[name].minutes for trial in trials if name in trial.noticed]
        found[name] = None if None in times else max((time for time in times if time is not None), default=None)
    return found


def main() -> None:
    """Run the command line."""
    app()


if __name__ == "__main__":
    main()
