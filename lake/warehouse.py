"""The lake's views as tables of PostgreSQL: what the lake gained is copied there, each row once."""

import tempfile
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import duckdb
import psycopg
from deltalake import DeltaTable
from psycopg import sql

from lake.commits import Step, rows_of, steps
from lake.maintenance import tables
from lake.place import Place
from lake.rows import LABEL_ROW, LABELS, SCORE_ROW, SCORES
from lake.views import connect
from lake.warehouse_tables import columns_of, create, make_days, names

Server = psycopg.Connection[tuple[object, ...]]

_OF_SCORES: Final = ("transactions", "predictions", "training_data")
_KNOWN: Final = ("is_fraud", "label_time", "label_source", "scenario")
_PIECE: Final = 1 << 20
_LOCK: Final = 0x5C0E_71AE


def export(place: Place, address: str) -> Counter[str]:
    """Copy to a PostgreSQL database what the lake gained since the last time; returns how many rows of each view.

    address: as libpq takes it (postgresql://user:password@host/database). The rows of a step and the note of how far the copy
    is are one transaction: after a kill at any moment the next call goes on from there. Raises psycopg.Error.
    """
    copied = Counter[str]()
    # Nothing is prepared: a statement about the table of staged rows would not fit the next one.
    with psycopg.connect(address, connect_timeout=10, autocommit=True, prepare_threshold=None) as server:
        _begin(server, place)
        # Labels first: a score that comes meanwhile is then copied with what is known of it.
        for name, take_in in ((LABELS, _labels), (SCORES, _scores)):
            table = tables(place).get(name)
            if table is None:
                continue
            identity = str(table.metadata().id)  # a table that was made again is another one
            for step in steps(table, _copied_up_to(server, identity)):
                with server.transaction():
                    if step.files:
                        copied.update(take_in(server, place, table, step))
                    if step.version is not None:
                        _note(server, identity, name, step.version)
    return copied


def _begin(server: Server, place: Place) -> None:
    # Whoever copies holds it, so that two do not do each other's work; it ends with the connection.
    server.execute("select pg_advisory_lock(%s)", [_LOCK])
    server.execute("set timezone = 'UTC'")
    server.execute("set client_min_messages = warning")  # not a notice of each table that is there already
    server.execute("create schema if not exists scoreline")
    server.execute("set search_path = scoreline")
    server.execute("create table if not exists copied (table_id text primary key, name text, version bigint)")
    with connect(place) as lake:
        create(server, lake)


def _copied_up_to(server: Server, identity: str) -> int | None:
    """The version of a table up to which it is copied."""
    found = server.execute("select version::text from copied where table_id = %s", [identity]).fetchone()
    return None if found is None else int(str(found[0]))


def _note(server: Server, identity: str, name: str, version: int) -> None:
    server.execute(
        "insert into copied values (%s, %s, %s) on conflict (table_id) do update set version = excluded.version",
        [identity, name, version],
    )


def _scores(server: Server, place: Place, table: DeltaTable, step: Step) -> Counter[str]:
    copied = Counter[str]()
    with connect(place, scores=rows_of(table, step.files, SCORE_ROW)) as lake:
        for view in _OF_SCORES:
            _stage(server, lake, view, f"select * from {view}", columns_of(lake, view))
            make_days(server, view, "staged")
            copied[view] = _insert(server, view)
    return copied


def _labels(server: Server, place: Place, table: DeltaTable, step: Step) -> Counter[str]:
    """Put what is known by now in the place of what was known of the transactions that labels came for."""
    with connect(place) as lake:
        lake.register("arrived", rows_of(table, step.files, LABEL_ROW))
        of_these = "transaction_id in (select transaction_id from arrived)"
        _stage(server, lake, "labels", f"select * from labels where {of_these}", columns_of(lake, "labels"))
        make_days(server, "labels", "staged")
        server.execute(
            "delete from labels using staged where labels.transaction_id = staged.transaction_id "
            "and labels.source_rank = staged.source_rank"
        )
        copied = _insert(server, "labels")
        every = "(select distinct transaction_id from arrived) left join known using (transaction_id)"
        known = ("transaction_id", *_KNOWN)
        _stage(server, lake, "training_data", f"select {', '.join(known)} from {every}", known)
    server.execute(
        sql.SQL(
            "update training_data set {} from staged where training_data.transaction_id = staged.transaction_id"
        ).format(sql.SQL(", ").join(sql.SQL("{0} = staged.{0}").format(sql.Identifier(name)) for name in _KNOWN))
    )
    return Counter(labels=copied)


def _stage(server: Server, lake: duckdb.DuckDBPyConnection, view: str, query: str, columns: Iterable[str]) -> None:
    """Copy what a query finds into the temporary table `staged`, which has some of the columns of a view's table."""
    texts = {name for name, kind in columns_of(lake, view).items() if kind == "text"}
    # PostgreSQL's texts have no character 0, which a message's may have.
    chosen = ", ".join(f"replace(\"{name}\", chr(0), '�')" if name in texts else f'"{name}"' for name in columns)
    server.execute("drop table if exists staged")
    server.execute(
        sql.SQL("create temporary table staged as select {} from {} where false").format(
            names(columns), sql.Identifier(view)
        )
    )
    copying = sql.SQL("copy staged ({}) from stdin (format csv, null '\\N')").format(names(columns))
    with tempfile.TemporaryDirectory() as folder:
        rows = Path(folder) / "rows.csv"
        lake.execute(f"copy (select {chosen} from ({query})) to '{rows}' (format csv, header false, nullstr '\\N')")
        with server.cursor().copy(copying) as copy, rows.open("rb") as file:
            while piece := file.read(_PIECE):
                copy.write(piece)


def _insert(server: Server, view: str) -> int:
    """Insert the staged rows that a view's table lacks; returns how many they were."""
    found = server.execute("select * from staged where false").description or []
    columns = names(column.name for column in found)
    return server.execute(
        sql.SQL("insert into {} ({}) select {} from staged on conflict do nothing").format(
            sql.Identifier(view), columns, columns
        )
    ).rowcount
