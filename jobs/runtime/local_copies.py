"""Where the workers of an executor keep their copies of the state; those of runs that are over are deleted."""

import os
import shutil
from contextlib import suppress
from pathlib import Path

_current: Path | None = None


def copies_of(run: str) -> Path:
    """The folder of a run's copies: this executor's alone, in what Spark gives it of the machine's disk and deletes with it.

    Executors share no copies, even on one machine: one that hangs would block the one that takes over its work.
    """
    own = os.environ["SPARK_LOCAL_DIRS"].split(",")[0]  # Spark sets it for each Python worker
    return Path(own) / "scoreline-state" / run


def drop_other_runs(run: Path) -> None:
    """Delete the copies beside those of `run`, once for each run that this worker takes part in.

    A worker that still works on one of them loses nothing: what it has mapped stays until it ends, and a copy that it
    cannot finish is read again from Spark's state by the next attempt.
    """
    global _current
    if run == _current:
        return
    run.mkdir(parents=True, exist_ok=True)
    with suppress(OSError):  # another worker deletes the same
        for other in run.parent.iterdir():
            if other != run:
                shutil.rmtree(other, ignore_errors=True)
    _current = run
