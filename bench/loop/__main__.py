"""`make loop`: the whole loop unattended, on a drift that hurts; the last line is one JSON object."""

import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from typer import Option

from bench.loop.figures import RECOVERED, Figures
from bench.loop.picture import draw
from bench.loop.play import play
from bench.loop.result import save
from bench.loop.scene import Scene
from bench.loop.servers import Servers
from bench.machine import check_load, machine
from bench.result import RESULTS
from demo.errors import DemoError
from messaging.errors import MessagingError
from programs.interruption import Interrupted, Interruption
from settings import private_files
from stack.errors import StackError

HURTS = 0.75
"""Of the recall before: below it a drift hurts."""


def main(
    rate: Annotated[float, Option(min=1, help="Transactions a second.")] = 400.0,
    customers: Annotated[int, Option(min=2_000, help="Of the bank; with fewer, days pass faster.")] = 2_000,
    seed: Annotated[int, Option(help="Of everything that is simulated.")] = 101,
    minutes: Annotated[float, Option(min=0.5, help="So long after the drift it waits for a promotion.")] = 15.0,
    service: Annotated[bool, Option(help="`scoreline serve` judges the same traffic beside the job.")] = True,
    publish: Annotated[bool, Option(help="The job publishes to InfluxDB too.")] = True,
    results: Annotated[Path, Option(help="Folder for the result (JSON) and the picture (PNG).")] = RESULTS,
    picture: Annotated[
        Path | None, Option(help="The picture goes here too (.png, .svg).", show_default="only beside the result")
    ] = None,
    kept: Annotated[
        Path | None, Option(help="An empty folder for servers and logs, kept.", show_default="a temporary one")
    ] = None,
) -> None:
    """Let drift hurt a model, let nobody do anything, and measure how the loop gets recall back: ten to twenty minutes.

    A broker, InfluxDB, the job with archive and publish, the service and `scoreline watch` run in a folder of their own.
    Days are simulated, and many pass in a minute; labels come as many simulated days late as ever. Progress is on standard
    error; the last line of standard output is one JSON object. Exit status 0 where the run is whole, whatever it measured.
    """
    Interruption()
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    folder = _folder(kept)
    servers, begun = Servers(folder, publish=publish), time.monotonic()

    def say(text: str) -> None:
        console.print(f"{time.monotonic() - begun:6.1f} s  {text}", markup=False)

    try:
        check_load(machine(), console, strict=False)
        result, run = play(Scene(seed, customers, rate=rate), servers, minutes, service, say)
        file = save(result, results)
        for each in [file.with_suffix(".png"), *([picture] if picture else [])]:
            draw(run, result.curve, result.figures, each)
    except (DemoError, StackError, MessagingError) as error:
        sys.exit(f"error: {error}")
    except Interrupted:
        sys.exit("interrupted: nothing was measured")
    finally:
        servers.kill()
        if kept is None:
            shutil.rmtree(folder, ignore_errors=True)
    for line in judged(result.figures):
        say(line)
    say(f"the result is {file}, the picture {file.with_suffix('.png')}")
    print(msgspec.json.encode(result.figures).decode(), flush=True)


def judged(figures: Figures) -> list[str]:
    """What is wanted of a run, and whether this one has it, in words."""
    before, during, after, without = (
        figures.recall_before or 0.0,
        figures.recall_during or 0.0,
        figures.recall_after or 0.0,
        figures.recall_without,
    )
    lines = [f"recall at {figures.alert_share:.2%} alerts: {before:.0%} before, {during:.0%} during, {after:.0%} after"]
    if without is not None:
        hurts = "it hurts" if without < HURTS * before else f"that is not below {HURTS:.0%} of before: it hurts little"
        lines.append(f"without the loop it would be {without:.0%}: {hurts}")
    if figures.recovered_minutes is None:
        lines.append(f"not recovered: {figures.not_measured.get('recovered_minutes', '')}")
    else:
        lines.append(f"recovered ({RECOVERED:.0%} of before) {figures.recovered_minutes:.1f} minutes after the drift")
    lines.append(f"{figures.transactions:,} transactions: {figures.lost} lost, {figures.judged_twice} judged twice")
    return lines


def _folder(kept: Path | None) -> Path:
    if kept is None:
        return Path(tempfile.mkdtemp(prefix="scoreline-loop-"))
    if kept.exists() and (not kept.is_dir() or any(kept.iterdir())):
        sys.exit(f"error: --kept has to be an empty folder, but {kept} is not")
    kept.mkdir(parents=True, exist_ok=True)
    return kept.absolute()


if __name__ == "__main__":
    private_files()
    typer.run(main)
