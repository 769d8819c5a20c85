"""The command `scoreline`: one name for the command lines of the packages, each loaded only when it is called."""

import importlib
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Final

import typer
from typer.core import TyperCommand

__version__ = "0.1.0"

_WATCH: Final = "Watch it"
_DETECT: Final = "Detect"
_TRAFFIC: Final = "Simulate and convert traffic"
_MODELS: Final = "Train, judge and choose models"


@dataclass(frozen=True)
class Command:
    """One command of `scoreline`: `python -m PACKAGE`, or where `of` is not empty, its command of that name."""

    name: str
    package: str
    of: str
    panel: str
    help: str


COMMANDS: Final = (
    Command("demo", "demo", "", _WATCH, "Watch it all at work on this machine: servers, payments, fraud, alerts."),
    Command("stack", "stack", "", _WATCH, "Start and stop Kafka and InfluxDB as local processes."),
    Command("submit", "jobs", "submit", _DETECT, "Start the detection job, by spark-submit."),
    Command("serve", "serving", "", _DETECT, "Answer payments at once: the same judgement by HTTP, in milliseconds."),
    Command("page", "page", "", _WATCH, "Serve the analyst's page: alerts as cases, verdicts by key."),
    Command("status", "jobs", "status", _DETECT, "Report the state of a checkpoint's queries."),
    Command("stop", "jobs", "stop", _DETECT, "Stop the jobs and other programs that work on a folder's data."),
    Command("state", "jobs", "state", _DETECT, "Export the customers' states of a checkpoint, for the service."),
    Command("jars", "jobs", "jars", _DETECT, "Print the jars that spark-submit by hand needs."),
    Command("lake", "lake", "", _DETECT, "Ask the lake of scores and labels by SQL, train on it, keep it small."),
    Command(
        "notify", "notifications", "", _WATCH, "Notify people of alerts and events: Slack, e-mail, Teams, webhooks, …"
    ),
    Command("quality", "lake", "quality", _WATCH, "Show how good live judgements are, by the labels that have come."),
    Command(
        "drift",
        "lake",
        "drift",
        _WATCH,
        "Compare live traffic with training's and last week's; 3 while an alarm lasts.",
    ),
    Command("explain", "jobs", "explain", _DETECT, "Show all that led to one judgement; judge it again."),
    Command("generate", "generator", "send", _TRAFFIC, "Send simulated live traffic to Kafka."),
    Command("history", "generator", "history", _TRAFFIC, "Simulate a history to train on."),
    Command("replay", "generator", "replay", _TRAFFIC, "Send a data set to Kafka at the pace of its own clock."),
    Command("convert", "generator", "convert", _TRAFFIC, "Convert a data set into a history to train on."),
    Command("pull", "generator", "pull", _TRAFFIC, "Pull transactions from a REST service into Kafka."),
    Command("report", "ml", "report", _TRAFFIC, "Make a page about a history: what the data holds."),
    Command("train", "ml", "train", _MODELS, "Train a detector on a history and register it."),
    Command("register", "ml", "register", _MODELS, "Register a model trained while the registry was unavailable."),
    Command("models", "ml", "models", _MODELS, "List the registered versions."),
    Command("promote", "ml", "promote", _MODELS, "Make a version the champion, by which the job judges."),
    Command("rollback", "ml", "rollback", _MODELS, "Make the champion before this one champion again."),
    Command("watch", "watch", "", _MODELS, "Retrain, try, promote and roll back by itself, by a policy."),
    Command("gate", "ml", "gate", _MODELS, "Check a version against the champion before it is promoted."),
    Command("backtest", "ml", "backtest", _MODELS, "Say what a version would have flagged in days that are past."),
    Command("challenge", "ml", "challenge", _MODELS, "Put a version on trial beside the champion, or end its trial."),
    Command("evaluate", "ml", "evaluate", _MODELS, "Judge detectors, a model, or a job's scores on a history."),
    Command("scorecard", "scorecard", "", _MODELS, "Judge every detector on simulated banks, as a page."),
)

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Fraud and anomaly detection on live payment traffic. `scoreline COMMAND --help` explains a command.",
)


class _HandedOn(TyperCommand):
    """A command whose arguments, `--help` among them, are read by the package that it belongs to."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        ctx.args = args
        return args


def _add(command: Command) -> None:
    @app.command(command.name, cls=_HandedOn, help=command.help, rich_help_panel=command.panel)
    def hand_on(context: typer.Context) -> None:
        _run(command, context.args)


def _run(command: Command, arguments: list[str]) -> None:
    """Run a package's command line, which reads `sys.argv`, as `python -m` does; so errors and exit codes are its own."""
    importlib.import_module("settings").private_files()
    program = importlib.import_module(f"{command.package}.__main__")
    if command.of:
        if command.of != command.name:  # under the name by which it was called, so that its usage line shows it
            program.app.command(command.name, hidden=True)(getattr(program, command.of))
        sys.argv = ["scoreline", command.name, *arguments]
    else:
        sys.argv = [f"scoreline {command.name}", *arguments]
    main: Callable[[], None] = getattr(program, "main", program.app)
    main()


for _command in COMMANDS:
    _add(_command)


@app.callback(invoke_without_command=True)
def _scoreline(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    if version:
        print(__version__)
        raise typer.Exit


def main() -> None:
    """Run the command line."""
    app(prog_name="scoreline")


if __name__ == "__main__":
    main()
