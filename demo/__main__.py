"""The demo's command line: `python -m demo --rate 500 --duration 60 --seed 7`."""

import os
import sys
import time
from pathlib import Path
from typing import Annotated

import psutil
import typer
from rich.console import Console
from typer import Option

from demo.chapters import NAMES
from demo.errors import DemoError
from demo.run import Demo, RunOptions
from messaging.errors import MessagingError
from programs.interruption import Interrupted, Interruption
from settings import private_files
from stack.errors import StackError

DURATION_SECONDS = 300.0
FEWEST_CUSTOMERS, MOST_CUSTOMERS = 1_000, 1_000_000

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

Rate = Annotated[float, Option(min=1.0, max=100_000.0, help="Transactions a second.")]
Duration = Annotated[float, Option(min=0.0, help="Seconds of traffic; 0: until Ctrl-C.")]
Chapters = Annotated[
    list[str] | None,
    Option(
        show_default="as many as there is time for",
        help=f"A part of the story, one of {', '.join(NAMES)}; several by repeating it.",
    ),
]
Seed = Annotated[int, Option(min=0, help="The same seed gives the same customers, traffic and fraud.")]
Data = Annotated[Path, Option(help="Folder for servers, model, checkpoint and logs; each run empties it first.")]
Customers = Annotated[
    int, Option(min=FEWEST_CUSTOMERS, max=MOST_CUSTOMERS, help="How many customers the simulated bank has.")
]
Record = Annotated[Path | None, Option(help="Write the live view, as it is when traffic ends, to this SVG file.")]
Secured = Annotated[bool, Option("--secured", help="With Kafka and InfluxDB that talk TLS and ask for a login.")]


@app.command()
def demo(
    rate: Rate = 500.0,
    duration: Duration = DURATION_SECONDS,
    seed: Seed = 7,
    data: Data = Path(".scoreline/demo"),
    customers: Customers = 50_000,
    record: Record = None,
    chapter: Chapters = None,
    secured: Secured = False,
) -> None:
    """Watch it all at work on this machine: Kafka, Spark and InfluxDB, simulated card payments, fraud, and its detection.

    The last line of the output is one JSON object with the run's figures. The exit status is 0 only if the generator kept
    the rate, every transaction was scored or found invalid, every score is a point in InfluxDB, and there were alerts.
    Ctrl-C ends the traffic and then everything that the demo started; a second one, at once.
    """
    unknown = [name for name in chapter or () if name not in NAMES]
    if unknown:
        raise DemoError(f"--chapter is one of {', '.join(NAMES)}, but is {unknown[0]}")
    interruption = Interruption()
    began = time.monotonic() - (time.time() - psutil.Process().create_time())
    _forget_other_servers()
    chosen = tuple(chapter or ())
    plan = RunOptions(rate, duration, seed, customers, data, record, chosen, secured=secured)
    try:
        met = Demo(plan, Console(highlight=False), interruption, began).run()
    except Interrupted:  # here, since typer would make its own words of it
        sys.exit("Ended before its time. Everything that the demo had started is stopped.")
    if not met:
        raise typer.Exit(1)


def _forget_other_servers() -> None:
    """The demo brings its own Kafka and registry: what the environment says of others is not for its processes."""
    for name in [name for name in os.environ if name.startswith(("KAFKA_", "MLFLOW_TRACKING_"))]:
        del os.environ[name]


def main() -> None:
    """Run the command line; what cannot be done is one line on standard error and exit status 1."""
    try:
        app()
    except (DemoError, MessagingError, StackError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    private_files()
    main()
