"""`scoreline watch`: retrains, tries, promotes and rolls back by a policy; and what a person orders it."""

import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Final

import msgspec
import typer
from filelock import FileLock, Timeout
from rich.console import Console

from lake.common import place_of
from ml.commands import common
from ml.console import show_table
from ml.features.declared import names
from ml.registry.model_store import RegistryError
from settings import Settings, private_files
from watch.announcing import announcing
from watch.doing import Outcome
from watch.journal import STATUS, Folder, JournalUnusable
from watch.lake_window import moment
from watch.observing import UNSEEN, Observer
from watch.policy import WatchPolicyError
from watch.status import Status, read_status
from watch.steps import Step
from watch.watcher import PolicyFile, Watcher
from watch.work import Work
from watch.worker import BUSY, LOCK, ProcessWorker, work_alone

app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Retrain, try, promote and roll back by a policy file; each step as a person would by command.",
)
_out: Final = Console(highlight=False, soft_wrap=True)

Where = Annotated[
    Path | None,
    typer.Option("--folder", help="The watcher's journal and status; by default the setting SCORELINE_WATCH_FOLDER."),
]
Lake = Annotated[str | None, typer.Option("--lake", help="The lake's folder; by default the setting SCORELINE_LAKE.")]
Version = Annotated[int, typer.Argument(min=1, help="A version from `scoreline models`.")]


def _kept(folder: Path | None) -> Folder:
    """The watcher's folder that an option or the setting names."""
    return Folder(folder or Settings.from_command_line([]).watch_folder)


@contextmanager
def _errors() -> Iterator[None]:
    """What a person can fix is one line on standard error and exit status 1."""
    try:
        yield
    except (JournalUnusable, WatchPolicyError, *UNSEEN) as error:
        sys.exit(f"error: {error}")


@app.callback(invoke_without_command=True)
def watch(
    context: typer.Context,
    policy: Annotated[
        Path | None,
        typer.Option(help="YAML file; by default the setting SCORELINE_WATCH_POLICY, else the built-in one."),
    ] = None,
    folder: Where = None,
    lake: Lake = None,
    once: Annotated[bool, typer.Option("--once", help="Look once, take what steps are due, and end.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what it would do, and why; change nothing.")] = False,
    drift_seconds: Annotated[float, typer.Option(min=0, help="Pause between two looks at drift.")] = 600.0,
) -> None:
    """Look after the models, until stopped."""
    if context.invoked_subcommand is not None:
        return
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    with _errors():
        kept = _kept(folder)
        if dry_run:
            decision = _watcher(kept, policy, lake, drift_seconds).look(dry=True)
            _out.print(f"{decision.kind if isinstance(decision, Step) else 'wait'}: {decision.why}", markup=False)
            return
        PolicyFile.opened(policy or Settings.from_command_line([]).watch_policy)  # before there is a folder
        with kept.alone():  # the journal is read within: what another watcher wrote to the last belongs to it
            _run(_watcher(kept, policy, lake, drift_seconds), once)


def _run(watcher: Watcher, once: bool) -> None:
    if once:
        while isinstance(watcher.look(), Step) and watcher.state.work is None:
            pass
        return
    stopped = threading.Event()
    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, lambda *_: stopped.set())
    watcher.run(stopped)


def _watcher(kept: Folder, policy: Path | None, lake: str | None, drift_seconds: float) -> Watcher:
    settings, place = Settings.from_command_line([]), place_of(lake)
    settings = settings.model_copy(update={"lake": place.uri})  # the process that works reads it from its environment
    registry = common.registry(names(common.declared(None)))
    observer = Observer(registry, place, settings, kept, drift_seconds)
    worker, announce = ProcessWorker(kept, settings), announcing(settings, registry.name)
    return Watcher(kept, PolicyFile.opened(policy or settings.watch_policy), observer, registry, worker, announce)


@app.command()
def status(
    folder: Where = None, as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False
) -> None:
    """Show what the watcher is doing, why, and its last steps."""
    with _errors():
        kept = _kept(folder)
        found = read_status(kept)
    if found is None:
        sys.exit(f"error: no watcher has looked yet: there is no {kept.path / STATUS}; begin with `scoreline watch`")
    if as_json:
        print(msgspec.json.encode(found).decode())
        return
    _show(found, kept.paused())


def _show(found: Status, paused: str) -> None:
    _out.print(f"{found.doing} since {_time(found.since)}: {found.why}", markup=False)
    if paused and found.doing != "paused":
        _out.print(f"paused from the next look on: {paused}", markup=False)
    trial = "" if found.trial is None else f", version {found.trial} is on trial and judges {found.judges:.0%}"
    _out.print(f"version {found.champion or 'none'} is the champion{trial}; next look {_time(found.next_look)}")
    for line in (*found.blind, *([found.policy_error] if found.policy_error else [])):
        _out.print(f"warning: {line}", markup=False)
    rows = [
        [_time(e.time), e.step.kind, e.phase, str(e.step.version or e.version or ""), e.said or e.step.why]
        for e in found.steps
    ]
    show_table(_out, ["time (UTC)", "step", "is", "version", "why"], rows, "")


def _time(milliseconds: int) -> str:
    return f"{moment(milliseconds):%Y-%m-%d %H:%M:%S}"


@app.command()
def pause(folder: Where = None, why: Annotated[str, typer.Option(help="The reason.")] = "by hand") -> None:
    """Hold the watcher up from its next look on, until `resume`; a training that is under way goes on."""
    with _errors():
        _kept(folder).pause(why)
    print("The watcher is paused.")


@app.command()
def resume(folder: Where = None) -> None:
    """Let the watcher go on."""
    with _errors():
        _kept(folder).resume()
    print("The watcher goes on.")


@app.command()
def hold(version: Version, folder: Where = None) -> None:
    """Keep a version from being tried or promoted by the watcher."""
    with _errors():
        _kept(folder).hold(version)
    print(f"Version {version} is held.")


@app.command()
def release(version: Version, folder: Where = None) -> None:
    """Let a version be promoted again."""
    with _errors():
        _kept(folder).release(version)
    print(f"Version {version} is no longer held.")


@app.command()
def reset(folder: Where = None) -> None:
    """Forget all steps and orders; registry and lake stay as they are."""
    with _errors():
        kept = _kept(folder)
        with kept.alone():
            kept.reset()
    print("The watcher begins from nothing.")


@app.command(hidden=True)
def work(id: str, folder: Where = None) -> None:
    """Do the long step of this id. The watcher starts it."""
    os.nice(5)
    kept = _kept(folder)
    with _alone_at_work(kept):
        opened = kept.state().work
        if opened is None or opened.id != id:
            sys.exit(f"error: step {id} is not open")
        settings = Settings.from_command_line([])
        try:
            registry = common.registry(names(common.declared(None)))
            outcome = Work(registry, place_of(None), settings).do(opened)
        except Exception as error:  # what a training or a gate says is its outcome
            logging.exception("the step failed")
            outcome = Outcome("failed", str(error)[:1_000] or type(error).__name__)
        work_alone(kept, opened, outcome)


@contextmanager
def _alone_at_work(kept: Folder) -> Iterator[None]:
    """Held by the one process that does a long step; another one ends with `BUSY`, and leaves the step to it."""
    lock = FileLock(kept.path / LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        sys.exit(BUSY)
    try:
        yield
    finally:
        lock.release()


def main() -> None:
    """Run the command line."""
    try:
        app()
    except RegistryError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    private_files()
    main()
