"""The scorecard's command line: `python -m scorecard`."""

import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn

from generator.population import make_population
from ml import console
from ml.dataset.history import HistoryError
from ml.evaluation.estimates import REPLICATES
from ml.evaluation.judgement import JudgedPart, Judgement
from ml.thresholds.budget import DEFAULT_BUDGET
from scorecard.page import page
from scorecard.pooled import Scorecard, pooled
from scorecard.runs import FULL, QUICK, season
from scorecard.trial import CONTESTANTS, Trial, trial
from scorecard.words import in_short, markdown
from scorecard.worlds import HANDBOOK, STANDARD, card_line, handbook_data, handbook_part, world_trial
from settings import private_files

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)
COLUMNS = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())


def main() -> None:
    """Run the command line; what cannot be done is one line on standard error and exit status 1."""
    try:
        app()
    except HistoryError as error:
        sys.exit(f"error: {error}")


@app.command()
def scorecard(
    folder: Annotated[Path, typer.Option("--out", help="Folder for the JSON, Markdown and HTML.")] = Path(
        ".scoreline/scorecard"
    ),
    quick: Annotated[bool, typer.Option("--quick", help="One small seed, with intervals over days.")] = False,
    first_seed: Annotated[int, typer.Option(min=0, help="Seed of the first bank; the others follow.")] = 1,
    seeds: Annotated[
        int | None, typer.Option("--seeds", min=1, help="How many banks instead of the usual number.")
    ] = None,
    customers: Annotated[
        int | None, typer.Option(min=100, help="Customers of a bank instead of the usual number.")
    ] = None,
) -> None:
    """Judge every detector: standard, attack, drift, calm, and the Handbook's world. The last line is JSON."""
    size = QUICK if quick else FULL
    size = replace(size, seeds=seeds or size.seeds, customers=customers or size.customers)
    banks = list(range(first_seed, first_seed + size.seeds))
    trials: list[Trial] = []
    worlds: dict[str, list[dict[str, Judgement | str]]] = {STANDARD: [], HANDBOOK: []}
    with Progress(*COLUMNS, console=err) as display:
        progress = console.Bars(display, keep=False)
        for number, seed in enumerate(banks):
            progress("seeds", number, len(banks))
            draws = seed, REPLICATES if len(banks) == 1 else 0
            with tempfile.TemporaryDirectory(prefix="scoreline-scorecard-") as runs:
                played = season(Path(runs), make_population(seed, size.customers), size, progress)
            trials.append(trial(played, CONTESTANTS, DEFAULT_BUDGET, draws, progress))
            profiled = JudgedPart.from_data(played.profiled)
            worlds[STANDARD].append(world_trial(profiled, DEFAULT_BUDGET, draws, progress))
            with tempfile.TemporaryDirectory(prefix="scoreline-scorecard-") as runs:
                book = handbook_part(handbook_data(Path(runs), seed, size.handbook, progress))
            worlds[HANDBOOK].append(world_trial(book, DEFAULT_BUDGET, draws, progress, learns_from_gap=False))
    _report(pooled(banks, trials, worlds), folder)


def _report(card: Scorecard, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "scorecard.json").write_bytes(msgspec.json.format(msgspec.json.encode(card)))
    (folder / "scorecard.md").write_text(markdown(card) + "\n")
    (folder / "scorecard.html").write_text(page(card))
    console.show(out, card.standard)
    out.print(*in_short(card), f"Written to {folder}: scorecard.html, scorecard.md, scorecard.json.", sep="\n")
    print(msgspec.json.encode(card_line(card)).decode(), flush=True)


if __name__ == "__main__":
    private_files()
    main()
