"""The dashboards' command line: `python -m grafana write`."""

import typer

from grafana.boards import files

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, help=__doc__)


@app.callback()
def _several() -> None:
    """Dashboards as code."""


@app.command()
def write() -> None:
    """Write the dashboards' JSON, which Grafana reads, from their code."""
    for path, text in files():
        path.write_text(text)
        print(path)


if __name__ == "__main__":
    app()
