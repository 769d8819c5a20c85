"""`scoreline lake`: ask the lake by SQL, make a training set from it, and keep it small."""

import sys
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import duckdb
import typer
from rich.console import Console

from lake import maintenance, monitoring
from lake.common import Where, errors, maybe_utc, place_of
from lake.refolding import refold, take_in
from lake.training_set import write_training_set
from lake.views import connect
from lake.warehouse import export
from ml.console import show_table
from ml.features.currencies import Rates, default_rates
from ml.features.customers import Customers
from settings import Settings, private_files

app = typer.Typer(
    add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, help="The lake: every score and label."
)


class Form(StrEnum):
    """How `sql` prints its rows."""

    table = "table"
    csv = "csv"
    json = "json"


@app.callback()
def _lake() -> None:
    pass


@app.command()
def sql(
    query: Annotated[str, typer.Argument(help="Of the views transactions, predictions, labels and training_data.")],
    lake: Where = None,
    form: Annotated[Form, typer.Option("--form", help="How to print the rows.")] = Form.table,
) -> None:
    """Ask the lake by SQL (DuckDB's)."""
    with errors(), connect(place_of(lake)) as connection:
        found = _asked(connection, query)
        if found is None:
            return
        if form is Form.table:
            rows = [["" if value is None else str(value) for value in row] for row in found.fetchall()]
            show_table(Console(), found.columns, rows, "")
        elif form is Form.csv:
            found.to_df().to_csv(sys.stdout, index=False)
        else:
            found.to_df().to_json(sys.stdout, orient="records", lines=True, date_format="iso")


@app.command(name="training-set")
def training_set(
    out: Annotated[Path, typer.Option(help="The Parquet file to write.")],
    since: Annotated[datetime, typer.Option("--from", help="The first event time, UTC.")],
    until: Annotated[datetime, typer.Option("--to", help="The first event time that is left out, UTC.")],
    known_by: Annotated[
        datetime | None, typer.Option(help="Labels from after then are left out; by default none are.")
    ] = None,
    lake: Where = None,
) -> None:
    """Write transactions with their features as they were scored, and the labels known by a date."""
    first, end = since.replace(tzinfo=UTC), until.replace(tzinfo=UTC)
    with errors():
        count = write_training_set(place_of(lake), first, end, maybe_utc(known_by), out)
    print(f"{count} transactions are in {out}.")


@app.command()
def verify(
    initial_state: Annotated[
        Path | None, typer.Option(help="The states that the job's first start was given.", show_default=False)
    ] = None,
    lake: Where = None,
) -> None:
    """Fold all transactions again: their features must be those that were scored, bit for bit; else the exit status is 1."""
    customers = Customers()
    with errors():
        rates_file = Settings.from_command_line([]).currency_rates
        rates = Rates.read(rates_file) if rates_file else default_rates()
        if initial_state is not None:
            take_in(initial_state, customers)
        found = refold(place_of(lake), rates, customers)
    print(
        f"{found.transactions:,} transactions were folded again: {found.different:,} have other features than were scored."
    )
    for example in found.examples:
        print(f"  {example}")
    if found.left_out:
        print(f"{found.left_out:,} of another release or of other currency rates were left out.")
    raise typer.Exit(1 if found.different else 0)


@app.command(name="export")
def export_to_warehouse(lake: Where = None) -> None:
    """Copy what the lake gained to the PostgreSQL database that the setting SCORELINE_WAREHOUSE names."""
    warehouse = Settings.from_command_line([]).warehouse
    if warehouse is None:
        print(
            "error: no database is named: set SCORELINE_WAREHOUSE to postgresql://user:password@host/name",
            file=sys.stderr,
        )
        raise typer.Exit(2)
    with errors():
        copied = export(place_of(lake), warehouse.get_secret_value())
    print("Copied: " + (", ".join(f"{count:,} {view}" for view, count in copied.items()) or "nothing new") + ".")


@app.command()
def status(lake: Where = None) -> None:
    """Show what each table holds: files, bytes, version."""
    with errors():
        rows = [[each.table, f"{each.files:,}", f"{each.bytes:,}", str(each.version)] for each in _figures(lake)]
    show_table(Console(), ["table", "files", "bytes", "version"], rows, "")


@app.command()
def compact(lake: Where = None) -> None:
    """Join small files, all days at once; the archive does it by itself for days that have many."""
    place = place_of(lake)
    with errors(), place.writing():
        before = sum(each.files for each in _figures(lake))
        maintenance.compact(place)
        print(f"{before:,} files are now {sum(each.files for each in _figures(lake)):,}.")


@app.command()
def retain(
    days: Annotated[int, typer.Option(min=1, help="Days that are kept.")],
    lake: Where = None,
) -> None:
    """Delete older days; their files go with `clean`, once nobody can be reading them."""
    place = place_of(lake)
    with errors(), place.writing():
        maintenance.delete_before(place, days)
    print(f"The lake has the last {days} days.")


@app.command()
def clean(
    hours: Annotated[
        int, typer.Option(min=0, help="Files that a version of the last so many hours has are kept.")
    ] = maintenance.KEPT_HOURS,
    lake: Where = None,
) -> None:
    """Delete files that no version needs any more, and old entries of the log."""
    place = place_of(lake)
    with errors(), place.writing():
        print(f"{maintenance.clean(place, hours):,} files that nothing needs are gone.")


def _figures(lake: str | None) -> list[maintenance.Figures]:
    return maintenance.figures(place_of(lake))


def _asked(connection: duckdb.DuckDBPyConnection, query: str) -> duckdb.DuckDBPyRelation | None:
    """What a query finds; None where it is a statement without rows, which DuckDB's own types do not say."""
    return connection.sql(query)


app.command("quality")(monitoring.quality)
app.command("review")(monitoring.review)
app.command("drift")(monitoring.drift)


if __name__ == "__main__":
    private_files()
    app()
