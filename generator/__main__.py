"""The generator's command line: `python -m generator history | send`."""

import signal
import sys
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Annotated

import msgspec
import typer
from msgspec.structs import replace
from rich.console import Console
from typer import Option

from generator.campaigns import FRAUD_SHARE
from generator.console import SendingView, history_progress
from generator.history import LIVE_START_DAYS_AGO, NoHistory, Origin, default_live_start, read_origin, write_history
from generator.live import LABEL_DELAY_SECONDS, Kafka, live_sender
from generator.population import CUSTOMERS, make_population
from generator.producer import DeliveryFailed, KafkaUnreachable, Security
from generator.send import Plan, Sender, Topics
from settings import Settings

app = typer.Typer(
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help="Simulate a bank's traffic."
)
SEED = 7
PLAIN_SECONDS = 5.0  # between two lines where there is no terminal
out = Console(highlight=False, soft_wrap=True)
Customers = Annotated[int, Option(min=1, max=10_000_000, help="How many customers the bank has.")]
FraudShare = Annotated[float, Option(min=0.0, max=0.5, help="Share of the transactions that are fraudulent.")]
Out = Annotated[Path, Option("--out", help="Folder to write transactions.parquet, truth.parquet and history.json to.")]
Days = Annotated[int, Option(min=1, help="How many simulated days, up to the live start.")]
Seed = Annotated[int, Option(min=0, help="The same seed gives the same bytes.")]
LiveStart = Annotated[
    str | None, Option(show_default=f"{LIVE_START_DAYS_AGO} days ago", help="Where it ends: ISO 8601 with zone.")
]

Rate = Annotated[float, Option(min=0.0, help="Transactions a second; 0 for as fast as possible.")]
Duration = Annotated[float | None, Option(min=0.0, show_default="until stopped", help="Seconds until it ends.")]
Count = Annotated[int | None, Option(min=1, show_default="no limit", help="End after exactly so many transactions.")]
Continued = Annotated[Path | None, Option("--history", help="Continue the history in this folder.")]
LiveCustomers = Annotated[
    int | None, Option(min=1, show_default=f"the history's, else {CUSTOMERS}", help="How many customers the bank has.")
]
LiveSeed = Annotated[
    int | None, Option(min=0, show_default=f"the history's, else {SEED}", help="The same seed gives the same bytes.")
]
LiveFraudShare = Annotated[
    float | None,
    Option(min=0.0, max=0.5, show_default=f"the history's, else {FRAUD_SHARE}", help="Share that is fraudulent."),
]
Start = Annotated[
    str | None, Option(show_default="the live start", help="Simulated time to begin at: ISO 8601 with zone.")
]
LabelDelay = Annotated[float, Option(min=0.0, help="How late labels come, on average.")]
FlushLabels = Annotated[bool, Option("--flush-labels", help="At the end, send the labels that are not due yet.")]
AsJson = Annotated[bool, Option("--json", help="Print the report as one JSON object, on the last line.")]


class WrongUse(Exception):
    """What was asked for contradicts itself."""


def main() -> None:
    """Run the command line; what cannot be done is one line on standard error and exit status 1."""
    try:
        app()
    except (WrongUse, NoHistory, KafkaUnreachable, DeliveryFailed) as error:
        sys.exit(f"error: {error}")


@app.command()
def history(
    folder: Out,
    customers: Customers = CUSTOMERS,
    days: Days = 14,
    seed: Seed = SEED,
    live_start: LiveStart = None,
    fraud_share: FraudShare = FRAUD_SHARE,
) -> None:
    """Write the transactions before the live start to Parquet, and the truth about them to a file of its own."""
    end = default_live_start() if live_start is None else _time("--live-start", live_start)
    origin = Origin(seed, customers, end, days, fraud_share)
    if end.minute or end.second or end.microsecond:
        raise WrongUse(f"--live-start has to be a full hour, but is {live_start}")
    with history_progress(out) as bar:
        task = bar.add_task("history", total=1.0)
        rows = write_history(
            folder,
            origin,
            make_population(seed, customers),
            lambda rows, share: bar.update(task, completed=share, description=f"history: {rows:,} transactions"),
        )
    out.print(f"{rows:,} transactions of {customers:,} customers in {days} days until {end.isoformat()}, in {folder}")


@app.command()
def send(
    rate: Rate = 500.0,
    duration: Duration = None,
    count: Count = None,
    folder: Continued = None,
    customers: LiveCustomers = None,
    seed: LiveSeed = None,
    fraud_share: LiveFraudShare = None,
    start: Start = None,
    label_delay_seconds: LabelDelay = LABEL_DELAY_SECONDS,
    flush_labels: FlushLabels = False,
    as_json: AsJson = False,
) -> None:
    """Send live traffic to Kafka, in the order of simulated time: transactions, the truth at once, labels late."""
    origin = _origin(folder, seed, customers, fraud_share)
    begin = None if start is None else _time("--start", start)
    plan = Plan(rate, duration, count, flush_labels)
    with SendingView(out) as view:
        sender = live_sender(origin, _kafka(), plan, begin, label_delay_seconds, view.show)
        sender.progress_seconds = 1.0 if out.is_terminal else PLAIN_SECONDS
        _stop_on_signal(sender)
        report = sender.run()
    view.summarise(report, rate)
    if as_json:
        print(msgspec.json.encode(report).decode(), flush=True)


def _stop_on_signal(sender: Sender) -> None:
    """The first signal ends the run in order; a second one ends the process."""

    def stop(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
        signal.signal(number, signal.SIG_DFL)
        sender.stop()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)


def _time(option: str, text: str) -> datetime:
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise WrongUse(f"{option} takes a time in ISO 8601, such as 2026-05-01T00:00:00Z, but is {text!r}") from None
    if time.tzinfo is None:
        raise WrongUse(f"{option} needs a time zone, but is {text}: write {time.isoformat()}Z for UTC")
    return time.astimezone(UTC)


def _origin(folder: Path | None, seed: int | None, customers: int | None, fraud_share: float | None) -> Origin:
    """The history's own origin, or one from flags and defaults."""
    if folder is None:
        origin = Origin(SEED if seed is None else seed, customers or CUSTOMERS, default_live_start())
    else:
        origin = read_origin(folder)
        for option, given, its in (("--seed", seed, origin.seed), ("--customers", customers, origin.customers)):
            if given not in (None, its):
                raise WrongUse(f"{option} is {given}, but the history in {folder} has {its}: leave {option} out")
    return origin if fraud_share is None else replace(origin, fraud_share=fraud_share)


def _kafka() -> Kafka:
    settings = Settings.from_command_line([])  # typer has read the flags already
    topics = Topics(settings.transactions_topic, settings.labels_topic, settings.truth_topic)
    return Kafka(settings.kafka_bootstrap_servers, topics, _security(settings))


def _security(settings: Settings) -> Security:
    security: dict[str, str] = {"security.protocol": settings.kafka_security_protocol}
    if settings.kafka_security_protocol.startswith("SASL"):
        password = settings.kafka_sasl_password
        security["sasl.mechanism"] = settings.kafka_sasl_mechanism
        security["sasl.username"] = settings.kafka_sasl_username or ""
        security["sasl.password"] = password.get_secret_value() if password else ""
    if settings.kafka_ssl_ca is not None:
        if not settings.kafka_ssl_ca.is_file():
            raise WrongUse(f"KAFKA_SSL_CA has to be a PEM file, but there is no file {settings.kafka_ssl_ca}")
        security["ssl.ca.location"] = str(settings.kafka_ssl_ca)
    return security


if __name__ == "__main__":
    main()
