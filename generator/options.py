"""The command line's options for the bank and for what happens in it."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from typer import Option

from generator.handbook.world import DAYS as HANDBOOK_DAYS
from generator.handbook.world import Handbook
from generator.history import LIVE_START_DAYS_AGO
from generator.labels import Reporting
from generator.population import CUSTOMERS
from generator.runs import FRAUD_SHARE, Run, RunName, usual_share
from generator.scenarios import SCENARIOS
from generator.scenarios.scenario import Subtlety
from generator.worlds import WorldName

SEED = 7
HISTORY_DAYS = 14
_ITS_OWN = "the history's, else "

World = Annotated[
    WorldName,
    Option(
        "--world",
        help="standard: our own bank; handbook: what the Fraud Detection Handbook simulates, from 2018-04-01.",
    ),
]
ReportingName = Literal["realistic", "perfect"]
Reports = Annotated[
    ReportingName | None,
    Option(
        "--reporting",
        show_default="perfect for handbook, else realistic",
        help="realistic: labels late, some wrong or missing; perfect: all true, after exactly the median.",
    ),
]
Customers = Annotated[
    int | None,
    Option(
        min=1,
        max=10_000_000,
        show_default=f"{CUSTOMERS}; for handbook {Handbook().customers}",
        help="How many customers the bank has.",
    ),
]
Out = Annotated[
    Path, Option("--out", help="Folder for transactions.parquet, truth.parquet, labels.parquet and history.json.")
]
Days = Annotated[
    int | None,
    Option(
        min=1,
        show_default=f"{HISTORY_DAYS}; for handbook {HANDBOOK_DAYS}",
        help="How many simulated days, up to --live-start.",
    ),
]
Seed = Annotated[int, Option(min=0, help="The same seed gives the same bytes.")]
LiveStart = Annotated[
    str | None,
    Option(
        show_default=f"{LIVE_START_DAYS_AGO} days ago; for handbook after its days",
        help="Where the history ends, and live traffic goes on: ISO 8601 with zone.",
    ),
]
Continued = Annotated[Path | None, Option("--history", help="Continue the history in this folder.")]
LiveCustomers = Annotated[
    int | None, Option(min=1, show_default=f"{_ITS_OWN}{CUSTOMERS}", help="How many customers the bank has.")
]
LiveSeed = Annotated[
    int | None, Option(min=0, show_default=f"{_ITS_OWN}{SEED}", help="The same seed gives the same bytes.")
]

Scenario = Annotated[
    RunName | None,
    Option(
        "--scenario",
        show_default=f"{_ITS_OWN}standard",
        help="standard; attack: a wave of 50 times the fraud; drift: honest behaviour shifts; calm: no fraud.",
    ),
]
FraudShare = Annotated[
    float | None,
    Option(min=0.0, max=0.5, show_default=f"{_ITS_OWN}{FRAUD_SHARE}", help="Share of the transactions that is fraud."),
]
Subtle = Annotated[
    Subtlety | None, Option("--subtlety", show_default=f"{_ITS_OWN}medium", help="How well the fraudsters hide.")
]
Intensity = Annotated[
    float | None,
    Option(min=0.1, max=10.0, show_default=f"{_ITS_OWN}1", help="Multiplies the transactions of each campaign."),
]
Only = Annotated[
    list[str] | None,
    Option(
        "--only",
        show_default="all",
        help=f"Only this kind of fraud; may be repeated. One of {', '.join(scenario.name for scenario in SCENARIOS)}.",
    ),
]
Begins = Annotated[
    str | None,
    Option("--begins", show_default="late in it", help="When wave or drift begins: ISO 8601 with zone."),
]
DriftDays = Annotated[float | None, Option(min=0.0, show_default="0, at once", help="Days until a drift is complete.")]
LabelDays = Annotated[
    float | None,
    Option(
        "--label-median-days",
        min=0.0,
        show_default=f"{_ITS_OWN}{Reporting().median_days:g}",
        help="Median of the simulated days until a fraud is reported.",
    ),
]


class WrongUse(Exception):
    """Options contradict each other."""


def composed_run(usual: Run, usually_begins: Callable[[RunName], datetime | None], **given: Any) -> Run:
    """The usual run with what was given (None: nothing); `usually_begins` says when another scenario than the usual one begins.

    Raises WrongUse where they contradict each other.
    """
    wanted = {name: value for name, value in given.items() if value is not None}
    scenario = wanted.get("scenario", usual.scenario)
    fresh = (
        {} if scenario == usual.scenario else {"fraud_share": usual_share(scenario), "begins": usually_begins(scenario)}
    )
    try:
        return msgspec.structs.replace(usual, **fresh | wanted)
    except ValueError as error:
        raise WrongUse(str(error)) from None


def time_of_option(option: str, text: str) -> datetime:
    """The time that an option gives, in UTC. Raises WrongUse where it is not a time, or has no zone."""
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise WrongUse(f"{option} takes a time in ISO 8601, such as 2026-05-01T00:00:00Z, but is {text!r}") from None
    if time.tzinfo is None:
        raise WrongUse(f"{option} needs a time zone, but is {text}: write {time.isoformat()}Z for UTC")
    return time.astimezone(UTC)
