"""What a history is made from, put together from the command line's options."""

from datetime import datetime, timedelta
from typing import Any

from msgspec.structs import replace

from generator.handbook.world import DAYS as HANDBOOK_DAYS
from generator.handbook.world import Handbook
from generator.history import Origin, default_live_start
from generator.labels import PERFECT, Reporting
from generator.options import HISTORY_DAYS, ReportingName, WrongUse, composed_run, time_of_option
from generator.population import CUSTOMERS
from generator.runs import Run, begins_within
from generator.worlds import WorldName

_REPORTINGS: dict[ReportingName, Reporting] = {"realistic": Reporting(), "perfect": PERFECT}


def reporting_from(name: ReportingName, median_days: float | None) -> Reporting:
    """How frauds become known: as this name says, but after another median delay where one is given."""
    return with_median(_REPORTINGS[name], median_days)


def with_median(usual: Reporting, median_days: float | None) -> Reporting:
    """The usual reporting, with another median delay where one is given."""
    return usual if median_days is None else replace(usual, median_days=median_days)


def origin_of_history(
    world: WorldName,
    seed: int,
    customers: int | None,
    span: tuple[int | None, str | None],
    reporting: tuple[ReportingName | None, float | None],
    **given: Any,
) -> Origin:
    """The origin of a history of one world.

    span: how many days, up to which live start; reporting: its name and the median delay in days; given: what happens, as
    `composed_run` takes it; None for what was not given. Raises WrongUse where they contradict each other.
    """
    name, median_days = reporting
    usual: ReportingName = "perfect" if world == "handbook" else "realistic"
    how = reporting_from(name or usual, median_days)
    if world == "handbook":
        refuse_in_handbook(given)
        return _handbook(seed, customers, span, how)
    days, end = span[0] or HISTORY_DAYS, default_live_start() if span[1] is None else _live_start(span[1], "full hour")
    run = composed_run(Run(), lambda name: begins_within(name, end - timedelta(days=days), days), **given)
    return Origin(seed, customers or CUSTOMERS, end, days, run, how)


def refuse_in_handbook(given: dict[str, Any]) -> None:
    """Raises WrongUse where something is wanted that does not happen in the Fraud Detection Handbook's world."""
    for name in (name for name, value in given.items() if value is not None):
        option = f"--{name.replace('_', '-')}"
        raise WrongUse(f"{option} is for the world standard; in the world handbook happens what the book says")


def _handbook(seed: int, customers: int | None, span: tuple[int | None, str | None], reporting: Reporting) -> Origin:
    days, end = span[0] or HANDBOOK_DAYS, None if span[1] is None else _live_start(span[1], "midnight")
    handbook = Handbook()
    if end is not None:
        handbook = replace(handbook, first_day=(end - timedelta(days=days)).date())
    try:
        handbook = replace(handbook, customers=customers or handbook.customers)
    except ValueError as error:
        raise WrongUse(str(error)) from None
    live_start = handbook.first + timedelta(days=days)
    return Origin(seed, handbook.customers, live_start, days, reporting=reporting, handbook=handbook)


def _live_start(text: str, needed: str) -> datetime:
    end = time_of_option("--live-start", text)
    if end.minute or end.second or end.microsecond or (needed == "midnight" and end.hour):
        raise WrongUse(f"--live-start has to be a {needed}, but is {text}")
    return end
