"""`python -m jobs submit` hands a job to spark-submit, with what it needs; `python -m jobs status` reports its state."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final

import msgspec
import typer
from rich.console import Console

from jobs.runtime.secrets import refuse_secrets
from jobs.runtime.shipped_code import LOOPBACK, ROOT, runs_here, write_zip
from jobs.runtime.stopping import running_under, stop
from jobs.status import QUERIES, as_table, local_checkpoint, queries_of, statuses
from messaging.config import KafkaConfig
from messaging.unreachable import why_unreachable
from settings import SecretRefused, Settings, private_files
from stack.errors import StackError
from stack.jars import connector_jars, lake_jars
from stack.java import java

_LOGGING: Final = ROOT / "jobs" / "log4j2.properties"

_LOCAL_FILES: Final = "com.globalmentor.apache.hadoop.fs.BareLocalFileSystem"

_HARMLESS: Final = "WARNING: Using incubator modules: jdk.incubator.vector$"

app = typer.Typer(
    add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, help="Scoreline's Spark jobs."
)


@app.callback()
def _jobs() -> None:
    pass


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def submit(
    context: typer.Context,
    job: Annotated[
        str, typer.Option(help="detect (runs the others too), or publish, thresholds, profiles or archive alone.")
    ] = "detect",
    master: Annotated[
        str, typer.Option(envvar="SPARK_MASTER", help="Spark master.")
    ] = f"local[{max(4, os.cpu_count() or 1)}]",
    driver_memory: Annotated[str, typer.Option(help="Heap of the driver, taken whole at the start.")] = "1536m",
    conf: Annotated[list[str] | None, typer.Option(help="A Spark property, name=value; may be repeated.")] = None,
) -> None:
    """Submit a job. Every flag that is not named here is a setting and goes to the job: see docs/settings.md, or
    `python -m jobs.detect --help`.
    """
    script = ROOT / "jobs" / f"{job}.py"
    if job not in QUERIES:
        raise typer.BadParameter(f"a job is {', '.join(QUERIES[:-1])} or {QUERIES[-1]}, but {job!r} was asked for")
    if not re.fullmatch("[0-9]+[kmgKMG]", driver_memory):
        raise typer.BadParameter(
            f"the driver's memory is a number and k, m or g, as in 1536m, but it is {driver_memory!r}"
        )
    try:
        refuse_secrets(context.args, conf or [])
        settings = Settings.from_command_line(context.args)
        environment = os.environ | {"JAVA_HOME": str(Path(java()).resolve().parent.parent)}
        connectors = connector_jars() + ([] if settings.lake is None else lake_jars())
    except (StackError, SecretRefused) as error:
        print(f"error: {error}", file=sys.stderr)
        raise typer.Exit(1) from None
    command = [str(Path(sys.executable).parent / "spark-submit"), "--master", master, "--driver-memory", driver_memory]
    options = java_options(settings.log_dir, driver_memory)
    command += ["--jars", ",".join(map(str, connectors)), "--driver-java-options", options]
    if runs_here(master):
        command += local_files(connectors)
        environment |= {"PYSPARK_PYTHON": sys.executable, "PYTHONPATH": str(ROOT)}
        environment.setdefault("SPARK_LOCAL_IP", LOOPBACK)  # the only word on where Spark's page listens
    else:
        command += elsewhere(settings.log_dir)
        environment.setdefault("PYSPARK_PYTHON", sys.executable)
    command += [part for pair in conf or [] for part in ("--conf", pair)]
    _filter_errors()
    # The job takes the place of this process, so that a signal sent to it reaches Spark.
    os.execve(command[0], [*command, str(script), *context.args], environment)


def _filter_errors() -> None:
    """Take one line off standard error: Java warns at each start of a module that Spark has chosen."""
    sed = shutil.which("sed")
    if sed is None:
        return
    # In a session of its own, so that Ctrl-C does not end it before Java; it ends when all that write to it have ended.
    command = [sed, "-u", f"/^{_HARMLESS}/d"]
    reader = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=sys.stderr, start_new_session=True)
    assert reader.stdin is not None
    os.dup2(reader.stdin.fileno(), sys.stderr.fileno())


@app.command()
def jars() -> None:
    """Print the jars that Spark needs, as --jars takes them; fetch them where they are not there yet."""
    try:
        print(",".join(map(str, connector_jars())))
    except StackError as error:
        print(f"error: {error}", file=sys.stderr)
        raise typer.Exit(1) from None


@app.command()
def status(
    checkpoint: Annotated[
        str | None, typer.Option(help="The checkpoint's folder; by default the setting.", show_default=False)
    ] = None,
    query: Annotated[
        list[str] | None, typer.Option(help="Only this query; may be repeated. By default all that ran there.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a query, in a list.")] = False,
) -> None:
    """Report the state of a checkpoint's queries. The exit status is 0 where all run well, else 1."""
    settings = Settings.from_command_line([])
    uri = checkpoint or settings.checkpoint
    try:
        folder = local_checkpoint(uri)
        names = queries_of(folder)
        if unknown := sorted({*(query or ())} - {*QUERIES}):
            raise ValueError(f"a query is {', '.join(QUERIES)}, but {', '.join(unknown)} was asked for")
        found = statuses(folder, query or names, settings)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        raise typer.Exit(1) from None
    if as_json:
        print(msgspec.json.format(msgspec.json.encode(found)).decode())
    elif found:
        why = why_unreachable(KafkaConfig.from_settings(settings)) if any(one.lag is None for one in found) else ""
        at = f"{settings.kafka_bootstrap_servers}{why and f': {why}'}"
        Console(width=None if sys.stdout.isatty() else 200).print(as_table(found, at))
    else:
        print(f"No query has run on the checkpoint {uri}.")
    raise typer.Exit(0 if found and all(one.unhealthy is None for one in found) else 1)


@app.command()
def explain(
    transaction_id: Annotated[str, typer.Argument(help="Of which transaction.")],
    recompute: Annotated[
        bool,
        typer.Option("--recompute", help="Judge it again, and say whether it is the same; else the exit status is 1."),
    ] = False,
) -> None:
    """Show all that led to a judgement: from the lake, the ledger of the checkpoint, and the models kept beside it."""
    from jobs.explain import Explainer, archived, explained  # it brings DuckDB, which no other command of these needs
    from lake.common import errors, place_of

    settings, same = Settings.from_command_line([]), True
    with errors():
        place = place_of(None)
        found = archived(place, transaction_id)
        if not found:
            print(f"error: the lake {place.uri} has no score of {transaction_id!r}", file=sys.stderr)
            raise typer.Exit(1)
        explainer = Explainer(settings, _checkpoint_here(settings))
        for one in found:
            print("\n".join(explained(explainer, one)))
            if recompute:
                said, alike = explainer.recomputed(one.score)
                same = same and alike
                print(said)
    raise typer.Exit(0 if same else 1)


def _checkpoint_here(settings: Settings) -> Path:
    try:
        return local_checkpoint(settings.checkpoint)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        raise typer.Exit(1) from None


@app.command()
def state(
    what: Annotated[str, typer.Argument(help="export: write the customers' states with their place in the log")],
    out: Annotated[Path, typer.Option(help="The file to write, which `scoreline serve --initial-state` begins with.")],
    checkpoint: Annotated[
        str | None, typer.Option(help="The checkpoint's folder; by default the setting.", show_default=False)
    ] = None,
) -> None:
    """Write the customers' states of a checkpoint to a file, as of its newest micro-batch. The job may go on meanwhile."""
    from jobs.state_export import NothingToExport, export  # it brings Spark, which no other command of these needs

    if what != "export":
        raise typer.BadParameter(f"a state can be exported (export), but {what!r} was asked for")
    settings = Settings.from_command_line([])
    try:
        os.environ["JAVA_HOME"] = str(Path(java()).resolve().parent.parent)
        found = export(local_checkpoint(checkpoint or settings.checkpoint), settings.transactions_topic, out)
    except (ValueError, OSError, StackError, NothingToExport) as error:
        print(f"error: {error}", file=sys.stderr)
        raise typer.Exit(1) from None
    places = ", ".join(f"{partition}/{offset:,}" for partition, offset in sorted(found.offsets.items()))
    print(f"{out}: {found.customers:,} customers, as of micro-batch {found.micro_batch:,}; next come {places}")


@app.command(name="stop")
def stop_all(
    folder: Annotated[Path, typer.Option(help="All jobs whose checkpoint is below this folder.")] = Path(".scoreline"),
) -> None:
    """Stop what runs on the data below a folder: jobs, and our other programs; report which they are."""
    found = running_under(folder)
    for one in found:
        print(f"Stopping {one.what} …")
    try:
        left = stop(found)
    except PermissionError:
        left = found
    for one in left:
        print(f"error: {one.what} still runs: end it first", file=sys.stderr)
    raise typer.Exit(1 if left else 0)


def java_options(log_dir: Path, heap: str) -> str:
    """Options of the driver's JVM: its log goes to rotating files beside the job's own, and only errors to the console."""
    # On two cores the parallel collector gives 43,000 txn/s where the default one gives 39,000. The whole heap is taken at
    # the start: where memory is short this shows then, and at 1,000 txn/s Java stops for a full collection (0.3 to 0.7 s)
    # every 165 s; with a heap that grows by little it is every 42 s (0.3 s), and 99 % of the latencies are below 983 ms
    # instead of 805.
    collector = f"-XX:+UseParallelGC -Xms{heap} -XX:+AlwaysPreTouch"
    logs = str(log_dir.absolute()).replace("\\", r"\\").replace('"', r"\"")  # as Spark's launcher reads a quoted option
    return f'{collector} -Dlog4j2.configurationFile={_LOGGING.as_uri()} "-Dscoreline.logs={logs}"'


def elsewhere(log_dir: Path) -> list[str]:
    """Flags for executors on other machines: the code that they run, as a zip beside the logs.

    Their Python is PYSPARK_PYTHON's or spark.pyspark.python's, by default the path of this one; the driver's is this one.
    """
    code = write_zip(log_dir.absolute().parent / "shipped")
    return ["--py-files", str(code), "--conf", f"spark.pyspark.driver.python={sys.executable}"]


def local_files(connectors: Sequence[Path]) -> list[str]:
    """Flags for a checkpoint on a local disk: Hadoop's own class starts a process for each file, to set its permissions.

    Without it the median latency at 1,000 txn/s is 373 ms instead of 426.
    """
    (jar,) = (str(path) for path in connectors if "hadoop-bare-naked-local-fs" in path.name)
    os.umask(mask := os.umask(0o077))  # Hadoop does not ask the system who may read what it writes
    private = f"spark.hadoop.fs.permissions.umask-mode={mask:03o}"
    return ["--driver-class-path", jar, "--conf", f"spark.hadoop.fs.file.impl={_LOCAL_FILES}", "--conf", private]


if __name__ == "__main__":
    private_files()
    app()
