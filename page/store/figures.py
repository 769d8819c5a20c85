"""Figures of the case store: how many alerts came and are decided, by hour, by verdict and by model."""

from typing import Any, Final, NamedTuple

from sqlalchemy import ColumnElement, Connection, Select, func, select

from page.store.tables import alerts

HOUR_MS: Final = 3_600_000


class Hour(NamedTuple):
    """Alerts that came in an hour. start: ms since the epoch."""

    start: int
    alerts: int
    decided: int


class Tally(NamedTuple):
    """Alerts, and what analysts said of them. saved: the amounts of those that were found to be fraud, in the base currency."""

    alerts: int
    open: int
    fraud: int
    honest: int
    unsure: int
    saved: float


def by_hour(connection: Connection, now: int, hours: int) -> list[Hour]:
    """Each hour of the last ones, the oldest first, those without alerts too."""
    first = now // HOUR_MS - hours + 1
    hour = (alerts.c.arrived_at - alerts.c.arrived_at % HOUR_MS) / HOUR_MS
    wanted = (
        select(hour.label("hour"), func.count(), func.count().filter(alerts.c.state == "decided"))
        .where(alerts.c.arrived_at >= first * HOUR_MS, alerts.c.arrived_at <= now)
        .group_by("hour")
    )
    found = {round(row[0]): (row[1], row[2]) for row in connection.execute(wanted)}
    return [Hour(each * HOUR_MS, *found.get(each, (0, 0))) for each in range(first, now // HOUR_MS + 1)]


def tally(connection: Connection) -> Tally:
    """Of all alerts."""
    return _tally(connection.execute(_counted()).one())


def by_model(connection: Connection, most: int = 20) -> list[tuple[int, Tally]]:
    """Of each version that judged one, the newest first."""
    wanted = _counted().add_columns(alerts.c.model_version).group_by(alerts.c.model_version)
    rows = connection.execute(wanted.order_by(alerts.c.model_version.desc()).limit(most))
    return [(row.model_version, _tally(row)) for row in rows]


def _counted() -> Select[Any]:
    said = alerts.c.verdict
    columns: list[ColumnElement[Any]] = [
        func.count(),
        func.count().filter(alerts.c.state == "open"),
        *(func.count().filter(said == one) for one in ("fraud", "honest", "unsure")),
        func.coalesce(func.sum(alerts.c.worth).filter(said == "fraud"), 0.0),
    ]
    return select(*columns).select_from(alerts)


def _tally(row: Any) -> Tally:
    return Tally(row[0], row[1], row[2], row[3], row[4], float(row[5]))
