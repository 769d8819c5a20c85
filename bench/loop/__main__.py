"""`make loop`: the whole loop unattended, on a drift that hurts; the last line is one JSON object."""

import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from threading import Thread
from typing import Annotated, Final

import msgspec
import typer
from rich.console import Console

from bench.loop.figures import Curve, Figures, Run
from bench.loop.picture import draw
from bench.loop.records import read_records
from bench.loop.scene import Scene, sender_of
from bench.loop.servers import Servers
from demo.errors import DemoError
from generator.history import write_history
from generator.send import Sender
from messaging.config import KafkaConfig
from messaging.reader import Reader
from ml.features import DAY
from ml.features.events import milliseconds
from ml.registry.model_store import ModelStore
from programs.interruption import Interruption
from watch.status import read_status

_POLL_SECONDS: Final = 1.0
_DRAIN_SECONDS: Final = 120.0
_AFTER_DAYS: Final = 3.0
"""So long it goes on after the promotion, to see what recall is."""

Say = Callable[[str], None]

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


class Outcome(msgspec.Struct, frozen=True):
    """What is kept of a run beside its picture."""

    figures: Figures
    curve: Curve


@app.command()
def loop(
    rate: Annotated[float, typer.Option(min=1, help="Transactions a second.")] = 500.0,
    customers: Annotated[int, typer.Option(min=100, help="Of the bank. Fewer make days pass faster.")] = 2_000,
    seed: Annotated[int, typer.Option(help="Seed of everything that is simulated.")] = 7,
    minutes: Annotated[float, typer.Option(min=0.5, help="So long at most after the drift, by the wall clock.")] = 15.0,
    picture: Annotated[Path, typer.Option(help="Where the picture goes.")] = Path("docs/loop.svg"),
    kept: Annotated[
        Path | None, typer.Option("--kept", help="Folder for servers and logs, kept.", show_default="a temporary one")
    ] = None,
) -> None:
    """Run the loop on a drift that hurts, and measure what became of recall."""
    Interruption()
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    folder = Path(tempfile.mkdtemp(prefix="scoreline-loop-")) if kept is None else kept.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    scene, servers = Scene(seed, customers, rate=rate), Servers(folder)
    begun = time.monotonic()

    def say(text: str) -> None:
        console.print(f"{time.monotonic() - begun:6.1f} s  {text}", markup=False)

    try:
        outcome, run = play(scene, servers, minutes, say)
        draw(run, outcome.curve, outcome.figures, picture)
    except DemoError as error:
        sys.exit(f"error: {error}")
    finally:
        servers.kill()
        if kept is None:
            shutil.rmtree(folder, ignore_errors=True)
    say(f"the picture is {picture}")
    print(msgspec.json.encode(outcome.figures).decode(), flush=True)


def play(scene: Scene, servers: Servers, minutes: float, say: Say) -> tuple[Outcome, Run]:
    """One run from its beginning to its figures. Raises DemoError where a part of it fails."""
    settings = servers.settings
    write_history(servers.history, scene.origin, scene.origin.world())
    say(f"{scene.history_days} days of history of {scene.customers:,} customers")
    servers.start()
    servers.train()
    registry = ModelStore(settings().mlflow_tracking_uri)
    champion = registry.load(registry.champion())
    say(f"the champion: version {champion.version}, which learned from {', '.join(scene.before)}")
    servers.start_job()
    sender = sender_of(scene, servers.history, settings())
    sending = Thread(target=sender.run, name="sender", daemon=True)
    sending.start()
    try:
        _follow_up(scene, servers, sender, minutes, say)
    finally:
        sender.stop()
        sending.join()
    _drain(servers, sender)
    servers.stop_judging()
    run = Run(
        read_records(settings()),
        servers.watching.entries(),
        milliseconds(scene.drift_begins),
        champion.budget,
        champion.version,
    )
    return Outcome(run.figures(), run.curve()), run


def _follow_up(scene: Scene, servers: Servers, sender: Sender, minutes: float, say: Say) -> None:
    """Wait until some days after the promotion, or until the time is over; say what the watcher does meanwhile."""
    drift = milliseconds(scene.drift_begins)
    drifted: float | None = None
    watching, said = False, 0
    while True:
        time.sleep(_POLL_SECONDS)
        servers.check()
        if not watching and (servers.folder / "lake" / "scores" / "_delta_log").is_dir():
            servers.start_watcher()
            watching = True
        newest = sender.report().last_event_time
        sent = 0 if newest is None else milliseconds(newest)
        if drifted is None and sent >= drift:
            drifted = time.monotonic()
            say("the drift begins")
        entries = servers.watching.entries()
        for entry in entries[said:]:
            if entry.phase != "begun":
                say(f"day {(entry.event_time - drift) / DAY:+.1f}: {entry.step.kind} {entry.phase}: {entry.said}")
        said = len(entries)
        promoted = [e for e in entries if e.step.kind == "promote" and e.phase == "done"]
        status = read_status(servers.watching)
        seen = 0 if status is None or status.event_time is None else status.event_time
        if promoted and seen >= promoted[0].event_time + _AFTER_DAYS * DAY:
            return
        if drifted is not None and time.monotonic() - drifted > minutes * 60:
            say("the time is over" + ("" if status is None else f"; the watcher: {status.why}"))
            return


def _drain(servers: Servers, sender: Sender) -> None:
    """Wait until the job has judged all that was sent."""
    settings = servers.settings()
    until = time.monotonic() + _DRAIN_SECONDS
    topics = settings.scores_topic, settings.invalid_topic
    while time.monotonic() < until:
        with Reader(KafkaConfig.from_settings(settings)) as reader:
            if sum(sum(reader.ends(topic).values()) for topic in topics) >= sender.report().sent:
                return
        time.sleep(_POLL_SECONDS)


if __name__ == "__main__":
    app()
