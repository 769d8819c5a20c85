"""The stack's command line: `python -m stack up | status | run | down`."""

import json
import os
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from messaging.topics import create_topics
from settings import Settings, private_files
from stack.errors import StackError
from stack.local import Ports, Stack, influxdb_elsewhere

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Kafka and InfluxDB as processes of this machine.")
console = Console()

Data = Annotated[
    Path, typer.Option(envvar="SCORELINE_DATA", help="Folder of the servers' data, logs and process records.")
]
Port = Annotated[int | None, typer.Option(min=1, max=65535, help="Port to listen on, instead of a free one.")]
DEFAULT_DATA = Path(".scoreline/stack")


@app.command()
def up(
    data: Data = DEFAULT_DATA,
    mlflow: Annotated[
        bool, typer.Option("--mlflow", help="Start an MLflow server too; else its SQLite file is used.")
    ] = False,
    secured: Annotated[
        bool,
        typer.Option("--secured", help="Kafka and InfluxDB talk TLS and ask for a login, from the first start on."),
    ] = False,
    kafka_port: Port = None,
    influxdb_port: Port = None,
    mlflow_port: Port = None,
) -> None:
    """Start the servers that do not run yet, and create the topics that are missing."""
    ports = Ports(kafka_port, influxdb_port, mlflow_port)
    elsewhere = influxdb_elsewhere(os.environ)
    stack = Stack(data, ports, with_mlflow_server=mlflow, elsewhere=elsewhere, secured=secured or None)
    started = stack.start()
    # Whatever the environment says of another Kafka.
    own = {"KAFKA_SECURITY_PROTOCOL": "PLAINTEXT"} | stack.kafka.environment()
    create_topics(Settings(**{name.lower(): value for name, value in own.items()}))  # type: ignore[arg-type]
    for server in stack.servers:
        if server.pid is not None:
            console.print(f"{server.name} {'is up' if server in started else 'was up already'} on port {server.port}.")
    if stack.without_influxdb is not None:
        raise stack.without_influxdb


@app.command()
def status(
    data: Data = DEFAULT_DATA,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the settings that clients need, as one JSON object.")
    ] = False,
) -> None:
    """Report what runs, and where."""
    stack = Stack(data, elsewhere=influxdb_elsewhere(os.environ))
    settings = stack.environment()
    if as_json:
        print(json.dumps(settings, indent=2))
        return
    servers = Table("server", "state", "port", "log")
    for server in stack.servers:
        pid = server.pid
        state, port = (f"process {pid}", str(server.port)) if pid else ("not running", "")
        servers.add_row(server.name, state, port, str(server.log))
    console.print(servers)
    hidden = set(Settings.secrets().values())
    for name, value in settings.items():
        console.print(f"{name}={'********' if value and name in hidden else value}", highlight=False, soft_wrap=True)


@app.command()
def down(data: Data = DEFAULT_DATA) -> None:
    """Stop the servers; their data stays."""
    stopped = Stack(data).stop()
    for server in stopped:
        console.print(f"{server.name} is down.")
    if not stopped:
        console.print("Nothing was running.")


@app.command(context_settings={"allow_interspersed_args": False, "ignore_unknown_options": True})
def run(
    command: Annotated[list[str], typer.Argument(help="A program and its arguments.")],
    data: Data = DEFAULT_DATA,
) -> None:
    """Run a command with the running servers' settings in its environment; what is set there already takes precedence."""
    stack = Stack(data, elsewhere=influxdb_elsewhere(os.environ))
    stack.mlflow.folder.mkdir(parents=True, exist_ok=True)  # training needs a place for its registry, but no server
    own = {name: value for name, value in stack.environment().items() if not os.environ.get(f"{name}_FILE")}
    os.execvpe(command[0], command, own | os.environ)


def main() -> None:
    """Runs a command; what cannot be done is one line on stderr and exit status 1."""
    try:
        app()
    except StackError as error:
        print(error, file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    private_files()
    main()
