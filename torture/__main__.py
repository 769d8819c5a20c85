"""`python -m torture`: kills everything that can be killed for half an hour, and reports what came of every record."""

import sys
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from typer import Option

from bench.result import RESULTS
from programs.interruption import Interrupted, Interruption
from settings import private_files
from stack.errors import StackError
from torture.options import Options
from torture.result import save
from torture.run import torture


def main(
    minutes: Annotated[float, Option(min=1, max=30, help="How long in all.")] = 30.0,
    rate: Annotated[float, Option(min=10, help="Messages a second.")] = 1_000.0,
    kills: Annotated[int | None, Option(min=0, help="How many; else 100 in half an hour.")] = None,
    seed: Annotated[int, Option(help="Of traffic, hostile messages and kills.")] = 1,
    data: Annotated[Path | None, Option(help="Where to make the servers' temporary folder.")] = None,
    keep: Annotated[bool, Option("--keep", help="Leave that folder, with all logs.")] = False,
    patience: Annotated[float, Option(min=0, help="Least seconds to work off the backlog, for a busy machine.")] = 60.0,
    results: Annotated[Path, Option(help="Folder for the result.")] = RESULTS,
    service: Annotated[bool, Option("--service", help="The service too: called, killed and accounted for.")] = False,
) -> None:
    """Exit status 0 where every record is accounted for and judged as the reference says."""
    Interruption()
    try:
        result = torture(Options(minutes, rate, kills, seed, data, keep, service, patience))
    except (StackError, RuntimeError) as error:
        sys.exit(f"error: {error}")
    except Interrupted:
        sys.exit("interrupted: nothing was accounted for")
    print(f"result: {save(result, results)}", file=sys.stderr)
    for example in result.figures.examples:
        print(f"example: {msgspec.json.encode(example).decode()}", file=sys.stderr)
    print(msgspec.json.encode(result.summary()).decode(), flush=True)
    sys.exit(0 if result.right else 1)


if __name__ == "__main__":
    private_files()
    typer.run(main)
