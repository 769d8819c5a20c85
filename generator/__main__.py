"""The generator's command line: `python -m generator history | send | replay | convert | pull`."""

import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from msgspec.structs import replace
from rich.console import Console
from typer import Option

from generator.console import SendingView, history_progress
from generator.history import (
    NoHistory,
    Origin,
    default_live_start,
    labels_after,
    read_origin,
    write_history,
)
from generator.live import Kafka, live_sender
from generator.options import (
    SEED,
    Begins,
    Continued,
    Customers,
    Days,
    DriftDays,
    FraudShare,
    Intensity,
    LabelDays,
    LiveCustomers,
    LiveSeed,
    LiveStart,
    Only,
    Out,
    Reports,
    Scenario,
    Seed,
    Subtle,
    World,
    WrongUse,
    composed_run,
    time_of_option,
)
from generator.origins import origin_of_history, refuse_in_handbook, with_median
from generator.population import CUSTOMERS
from generator.producer import DeliveryFailed, KafkaUnreachable
from generator.pull import commands as pull_commands
from generator.pull.commands import Access
from generator.pull.errors import PullError
from generator.pull.pull import Target
from generator.replay.commands import register
from generator.replay.errors import ReplayError
from generator.resume import newest_event_time, unsent_labels
from generator.runs import RunName
from generator.send import SendOptions, Topics
from generator.stopping import stop_on_signal
from messaging.config import KafkaConfig
from messaging.errors import KafkaConfigError
from settings import Settings, private_files

app = typer.Typer(
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help="Simulate a bank's traffic."
)
PLAIN_SECONDS = 5.0  # between two lines where there is no terminal
out = Console(highlight=False, soft_wrap=True)

Rate = Annotated[float, Option(min=0.0, help="Transactions a second; 0 for as fast as possible.")]
Duration = Annotated[float | None, Option(min=0.0, show_default="until stopped", help="Seconds until it ends.")]
Count = Annotated[int | None, Option(min=1, show_default="no limit", help="End after exactly so many transactions.")]
Start = Annotated[
    str | None, Option(show_default="where its history ends", help="Simulated time to begin at: ISO 8601 with zone.")
]
Resume = Annotated[
    bool, Option("--resume", help="Begin where the transactions topic ends, with the labels not due yet.")
]
FlushLabels = Annotated[bool, Option("--flush-labels", help="At the end, send the labels that are not due yet.")]
AsJson = Annotated[bool, Option("--json", help="Print the report as one JSON object, on the last line.")]


def main() -> None:
    """Run the command line; what cannot be done is one line on standard error and exit status 1."""
    try:
        app()
    except (
        WrongUse,
        NoHistory,
        KafkaConfigError,
        KafkaUnreachable,
        DeliveryFailed,
        ReplayError,
        PullError,
        OSError,
    ) as error:
        sys.exit(f"error: {error}")


@app.command()
def history(
    folder: Out,
    world: World = "standard",
    customers: Customers = None,
    days: Days = None,
    seed: Seed = SEED,
    live_start: LiveStart = None,
    scenario: Scenario = None,
    fraud_share: FraudShare = None,
    subtlety: Subtle = None,
    intensity: Intensity = None,
    only: Only = None,
    begins: Begins = None,
    drift_days: DriftDays = None,
    reporting: Reports = None,
    label_median_days: LabelDays = None,
) -> None:
    """Write the transactions up to --live-start to Parquet; the truth about them, and the late labels, beside them."""
    origin = origin_of_history(
        world,
        seed,
        customers,
        (days, live_start),
        (reporting, label_median_days),
        scenario=scenario,
        fraud_share=fraud_share,
        subtlety=subtlety,
        intensity=intensity,
        only=None if only is None else tuple(only),
        begins=None if begins is None else time_of_option("--begins", begins),
        drift_days=drift_days,
    )
    with history_progress(out) as bar:
        task = bar.add_task("history", total=1.0)
        rows = write_history(
            folder,
            origin,
            origin.world(),
            lambda rows, share: bar.update(task, completed=share, description=f"history: {rows:,} transactions"),
        )
    until = origin.live_start.isoformat()
    out.print(
        f"{rows:,} transactions of {origin.customers:,} customers in {origin.days} days until {until}, in {folder}"
    )
    if origin.run.begins is not None:
        out.print(f"the {origin.run.scenario} begins at {origin.run.begins.isoformat()}")


@app.command()
def send(
    rate: Rate = 500.0,
    duration: Duration = None,
    count: Count = None,
    folder: Continued = None,
    customers: LiveCustomers = None,
    seed: LiveSeed = None,
    scenario: Scenario = None,
    fraud_share: FraudShare = None,
    subtlety: Subtle = None,
    intensity: Intensity = None,
    only: Only = None,
    begins: Begins = None,
    drift_days: DriftDays = None,
    start: Start = None,
    resume: Resume = False,
    label_median_days: LabelDays = None,
    flush_labels: FlushLabels = False,
    as_json: AsJson = False,
) -> None:
    """Send live traffic to Kafka, in the order of simulated time: transactions, the truth at once, labels when due."""
    origin, kafka = _origin(folder, seed, customers), _kafka()
    begin = _begin(origin, kafka, start, resume)
    given = {
        "scenario": scenario,
        "fraud_share": fraud_share,
        "subtlety": subtlety,
        "intensity": intensity,
        "only": None if only is None else tuple(only),
        "begins": None if begins is None else time_of_option("--begins", begins),
        "drift_days": drift_days,
    }
    if origin.handbook is not None:
        refuse_in_handbook(given)
    run = composed_run(origin.run, lambda name: _begins_live(name, begin), **given)
    origin = replace(origin, run=run, reporting=with_median(origin.reporting, label_median_days))
    earlier = [] if folder is None else labels_after(folder, begin)
    if resume and begin > origin.live_start:
        with out.status("finding the labels that were not due yet"):
            earlier += unsent_labels(origin, kafka, begin)
    with SendingView(out) as view:
        sender = live_sender(origin, kafka, SendOptions(rate, duration, count, flush_labels), begin, earlier, view.show)
        sender.progress_seconds = 1.0 if out.is_terminal else PLAIN_SECONDS
        stop_on_signal(sender.stop)
        report = sender.run()
    view.summarise(report, rate)
    if as_json:
        print(msgspec.json.encode(report).decode(), flush=True)


def _begin(origin: Origin, kafka: Kafka, start: str | None, resume: bool) -> datetime:
    """The simulated time at which to begin."""
    if start is not None and resume:
        raise WrongUse(f"--resume begins where the topic ends, but --start is {start}: leave one of them out")
    if start is not None:
        return time_of_option("--start", start)
    newest = newest_event_time(kafka) if resume else None
    return origin.live_start if newest is None else max(origin.live_start, newest + timedelta(milliseconds=1))


def _begins_live(scenario: RunName, begin: datetime) -> datetime | None:
    """When a live attack or drift begins: after an hour of ordinary traffic, which is some seconds at the usual rate."""
    return begin + timedelta(hours=1) if scenario in ("attack", "drift") else None


def _origin(folder: Path | None, seed: int | None, customers: int | None) -> Origin:
    """The history's own origin, or one from flags and defaults."""
    if folder is None:
        return Origin(SEED if seed is None else seed, customers or CUSTOMERS, default_live_start())
    origin = read_origin(folder)
    for option, given, its in (("--seed", seed, origin.seed), ("--customers", customers, origin.customers)):
        if given not in (None, its):
            raise WrongUse(f"{option} is {given}, but the history in {folder} has {its}: leave {option} out")
    return origin


def _kafka() -> Kafka:
    settings = Settings.from_command_line([])  # typer has read the flags already
    topics = Topics(settings.transactions_topic, settings.labels_topic, settings.truth_topic)
    return Kafka(KafkaConfig.from_settings(settings), topics)


def _access() -> Access:
    settings = Settings.from_command_line([])
    target = Target(settings.transactions_topic, settings.invalid_topic, settings.max_transaction_bytes)
    secret = settings.pull_authorization
    return Access(KafkaConfig.from_settings(settings), target, "" if secret is None else secret.get_secret_value())


register(app, _kafka)
pull_commands.register(app, _access)

if __name__ == "__main__":
    private_files()
    main()
