"""Checks a version before it is promoted, and keeps the report with it."""

from datetime import UTC, datetime
from typing import Annotated, Final

import msgspec
import typer

from messaging.config import KafkaConfig
from ml.commands import common
from ml.commands.champion import Version
from ml.commands.topic_scores import read_trial
from ml.features.declared import names
from ml.features.events import milliseconds
from ml.gate.checks import Limits
from ml.gate.gate import Data, Report, Shadow, gate, no_shadow
from ml.gate.shadow import agreement
from ml.options import ExtrasFile
from ml.progress import Progress
from settings import Settings

REFUSED: Final = 3
"""The exit status of a version that did not pass."""

_MARKS: Final = {True: "passed", False: "FAILED", None: "unknown"}


def gate_command(
    version: Version,
    history: Annotated[
        str | None, typer.Argument(help="History with labels or truth, to compare alerts and quality on.")
    ] = None,
    since: Annotated[
        datetime | None,
        typer.Option(
            formats=["%Y-%m-%d"], show_default="what neither model was trained on", help="First day that counts."
        ),
    ] = None,
    scores: Annotated[
        str | None,
        typer.Option(show_default="no live scores", help="Topic of scores on which it stands as challenger."),
    ] = None,
    slower: Annotated[float, typer.Option(min=1.0, help="How many times the champion's time it may take.")] = 1.5,
    alerts: Annotated[float, typer.Option(min=1.0, help="How many times the alert budget it may alert.")] = 1.5,
    extras_file: ExtrasFile = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as one JSON object.")] = False,
) -> None:
    """Check a version against the champion. Exit status 0: passed; 3: refused; 1: it could not be checked."""
    declared = common.declared(extras_file)
    registry = common.registry(names(declared))
    place = None if history is None else common.local(history, "HISTORY")
    begin = None if since is None else milliseconds(since.replace(tzinfo=UTC))
    data = Data(place, begin, common.rates(), declared)
    with common.bars() as bars:
        limits = Limits(slower, alerts)
        shadow = no_shadow if scores is None else _shadow(scores, limits, bars)
        report = gate(registry, version, data, limits, shadow, bars)
    registry.keep_report(version, msgspec.json.encode(report).decode())
    show(report, as_json)
    if not report.passed:
        raise typer.Exit(REFUSED)


def _shadow(topic: str, limits: Limits, progress: Progress) -> Shadow:
    """Checks a model's live scores on a topic."""
    kafka = KafkaConfig.from_settings(Settings.from_command_line([]))
    return lambda model: agreement(model, read_trial(kafka, topic, progress), limits.alerts, model.budget)


def show(report: Report, as_json: bool) -> None:
    """Print a report: a line a check and the outcome, or all of it as JSON."""
    if as_json:
        print(msgspec.json.encode(report).decode())
        return
    for check in report.checks:
        common.out.print(f"{_MARKS[check.passed]:8} {check.name:9} {check.figures}")
    common.out.print(f"version {report.version}: {_outcome(report)}")


def _outcome(report: Report) -> str:
    if not report.passed:
        return f"refused ({', '.join(check.name for check in report.failed)})"
    return "passed" + ", and better than the champion" * report.better
