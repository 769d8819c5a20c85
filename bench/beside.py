"""What runs beside detection, and what it costs: detect alone, with a challenger, and with archive, challenger and drift."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from bench.beside_figures import ALONE, CHALLENGER, EVERYTHING
from bench.catch_up import LIMIT_SECONDS
from bench.environment import Environment
from bench.errors import BenchError
from bench.inputs import Input, two_versions
from bench.programs import PYTHON, Running
from bench.result import Trial
from bench.run import Run
from bench.stages import Say
from bench.systems import Scoreline
from lake.place import Place
from lake.views import connect
from ml.registry.model_store import Terms

ARCHIVE_SECONDS: Final = 10.0
DRIFT_SECONDS: Final = 60.0
"""Between two micro-batches of archive, and two looks at drift: shorter than usual, so that the window has several."""


def beside(
    environment: Environment, made: Input, count: int, warm_up_seconds: float, flags: tuple[str, ...], say: Say
) -> list[Trial]:
    """All three over the same topic that was filled before, without publish, one after the other."""
    filled = environment.settings("filled", made, {})
    say(f"writing {count:,} transactions to Kafka")
    environment.send(filled, made, 0, count)
    on_trial = _with_challenger(environment, made)
    found = []
    try:
        for name in (ALONE, CHALLENGER, EVERYTHING):
            say(f"{count:,} transactions: {name}")
            lake = environment.folder / "lake" if name == EVERYTHING else None
            more = {} if name == ALONE else {"mlflow_tracking_uri": on_trial}
            if lake is not None:
                lake.mkdir()
                more |= {"lake": str(lake), "lake_interval_seconds": str(ARCHIVE_SECONDS)}
            system = Scoreline(flags, name=name)
            with (
                Run(environment, system, made, count, filled.transactions_topic, publish=False, **more) as run,
                _looking_at_drift(lake, run) as looks,
            ):
                drained = run.drained(warm_up_seconds, LIMIT_SECONDS)
                run.end()
            if lake is not None:
                say(
                    f"archive has taken in {_archived(lake):,} scores meanwhile; drift was looked at {len(looks)} times"
                )
            found.append(Trial(name, made.customers, drained=drained))
    finally:
        environment.discard(filled)
    return found


def _with_challenger(environment: Environment, made: Input) -> str:
    """A registry with the input's champion, and a model of the same kind that scores every customer beside it."""
    registry = two_versions(made, environment.folder, "beside")
    registry.challenge(2, terms=Terms(share=1.0))
    return registry.uri


@contextmanager
def _looking_at_drift(lake: Path | None, run: Run) -> Iterator[list[int]]:
    """`scoreline drift` again and again, where there is a lake; yields the exit statuses of its looks."""
    stopped, looks = threading.Event(), list[int]()

    def look() -> None:
        environment = run.settings.environment()
        while not stopped.wait(DRIFT_SECONDS if looks else ARCHIVE_SECONDS):
            folder = Path(run.settings.log_dir) / f"drift{len(looks)}"
            program = Running("drift", folder, [*PYTHON, "lake", "drift"], environment)
            while program.pid is not None and not stopped.wait(0.2):
                pass
            program.end(1.0)
            looks.append(len(looks))

    thread = threading.Thread(target=look, daemon=True)
    if lake is not None:
        thread.start()
    try:
        yield looks
    finally:
        stopped.set()
        if lake is not None:
            thread.join()


def _archived(lake: Path) -> int:
    """Scores in the lake. Raises BenchError where there are none: then nothing was measured beside it."""
    with connect(Place(str(lake))) as connection:
        (count,) = connection.execute("select count(*) from scores").fetchone() or (0,)
    if not count:
        raise BenchError("archive has taken in nothing while it was measured: measure for longer (--count)")
    return int(count)
