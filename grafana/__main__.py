"""The command line of dashboards and alarm rules: `python -m grafana write`."""

import typer

from grafana import alarms
from grafana.boards import files

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


if __name__ == "__main__":
    app()
