"""The command line of dashboards and alarm rules: `python -m grafana write`."""

import sys
import time
from pathlib import Path
from typing import Annotated, Final

import typer

from grafana import alarms, drawing
from grafana.answers import Servers
from grafana.asking import Span, names
from grafana.boards import files
from settings import Settings

QUALITY: Final = "model-quality"
QUALITY_MINUTES: Final = 30 * 24 * 60.0
"""Of quality there is a point a day."""

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, help=__doc__)


@app.callback()
def _several() -> None:
    """Dashboards and alarm rules as code."""


@app.command()
def write() -> None:
    """Write what Grafana reads: the dashboards' JSON from their code, and its alarm rules from those for Prometheus."""
    for path, text in (*files(), (alarms.FILE, alarms.text())):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        print(path)


@app.command()
def draw(
    folder: Annotated[Path, typer.Argument(help="where the pictures go, one a dashboard")],
    minutes: Annotated[float, typer.Option(min=1, help="of which time, up to now")] = 15,
    prometheus: Annotated[str, typer.Option(help="where Prometheus answers")] = "http://localhost:9090",
    boards: Annotated[list[str] | None, typer.Option("--board", help="these alone, as live-detection")] = None,
) -> None:
    """Draw dashboards as pictures: what their queries are answered by a running InfluxDB (INFLUXDB_…) and Prometheus.

    Exit status 1 where a query could not be asked; its panel says so in the picture.
    """
    unknown = set(boards or ()) - set(names())
    if unknown:
        raise typer.BadParameter(f"there is no board {', '.join(sorted(unknown))}, but {', '.join(names())}")
    settings = Settings()
    database = settings.influxdb_bucket.partition("/")[0]
    token = settings.influxdb_token.get_secret_value()
    servers = Servers(settings.influxdb_url, database, prometheus, token)
    end = int(time.time() * 1000)
    failed = []
    for board in boards or names():
        begin = end - int((minutes if board != QUALITY else max(minutes, QUALITY_MINUTES)) * 60_000)
        failed += drawing.draw(board, servers, Span(begin, end), folder / f"{board}.png")
        print(folder / f"{board}.png")
    for line in failed:
        print("error:", line, file=sys.stderr)
    raise typer.Exit(bool(failed))


if __name__ == "__main__":
    app()
