"""The tables of PostgreSQL that hold the lake's views: their columns, keys, indexes and days."""

from collections.abc import Iterable
from typing import Final, LiteralString, NamedTuple

import duckdb
import psycopg
from psycopg import sql

from lake.rows import DAY, JSON

_TYPES: Final[dict[str, LiteralString]] = {
    "VARCHAR": "text",
    "DOUBLE": "double precision",
    "BIGINT": "bigint",
    "INTEGER": "integer",
    "BOOLEAN": "boolean",
    "DATE": "date",
    "TIMESTAMP WITH TIME ZONE": "timestamptz",
}
_RECORD: Final = (DAY, "topic_id", "partition", "offset")


class Design(NamedTuple):
    """What a table has besides its view's columns. indexes: the columns of each, and which rows it is of."""

    key: tuple[str, ...]
    indexes: tuple[tuple[str, LiteralString], ...]


DESIGN: Final = {
    "transactions": Design(_RECORD, (("transaction_id", ""), ("customer_id, event_time", ""))),
    "predictions": Design(
        _RECORD, (("transaction_id", ""), ("customer_id, event_time", ""), ("event_time", "where is_anomaly"))
    ),
    "training_data": Design(_RECORD, (("transaction_id", ""), ("event_time", ""))),
    "labels": Design((DAY, "transaction_id", "source_rank"), (("transaction_id", ""), ("customer_id", ""))),
}
"""By what a page asks: one transaction, a customer's past, the newest alerts."""


def columns_of(lake: duckdb.DuckDBPyConnection, view: str) -> dict[str, LiteralString]:
    """The columns of a view, by name, with their types in PostgreSQL."""
    described = lake.execute(f"describe {view}").fetchall()
    return {name: "json" if name in JSON else _TYPES[kind] for name, kind, *_ in described}


def create(server: psycopg.Connection, lake: duckdb.DuckDBPyConnection) -> None:
    """Make the tables that are not there yet, and the columns that a newer release has."""
    for view, design in DESIGN.items():
        columns = columns_of(lake, view)
        table = sql.Identifier(view)
        server.execute(
            sql.SQL("create table if not exists {} ({}, primary key ({})) partition by range (day)").format(
                table, sql.SQL(", ").join(_defined(*column) for column in columns.items()), names(design.key)
            )
        )
        for name, kind in columns.items():
            server.execute(sql.SQL("alter table {} add column if not exists {}").format(table, _defined(name, kind)))
        for number, (of, rows) in enumerate(design.indexes, 1):
            server.execute(
                sql.SQL("create index if not exists {} on {} ({}) {}").format(
                    sql.Identifier(f"{view}_{number}"), table, names(of.split(", ")), sql.SQL(rows)
                )
            )


def make_days(server: psycopg.Connection, view: str, staged: str) -> None:
    """Make the partitions of the days that rows of another table are of."""
    found = server.execute(sql.SQL("select distinct day, day + 1 from {}").format(sql.Identifier(staged))).fetchall()
    for day, following in sorted(found):
        server.execute(
            sql.SQL("create table if not exists {} partition of {} for values from ({}) to ({})").format(
                sql.Identifier(f"{view}_{day:%Y%m%d}"), sql.Identifier(view), sql.Literal(day), sql.Literal(following)
            )
        )


def names(columns: Iterable[str]) -> sql.Composed:
    """Columns, comma-separated."""
    return sql.SQL(", ").join(map(sql.Identifier, columns))


def _defined(name: str, kind: LiteralString) -> sql.Composed:
    return sql.SQL("{} {}").format(sql.Identifier(name), sql.SQL(kind))
