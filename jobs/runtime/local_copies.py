"""The copies of the state of runs that are over: deleted by the workers as soon as another run begins."""

import shutil
from contextlib import suppress
from pathlib import Path

_current: Path | None = None


def drop_other_runs(run: Path) -> None:
    """Delete the copies beside those of `run`, once for each run that this worker takes part in.

    A worker that still works on one of them loses nothing: what it has mapped stays until it ends, and a copy that it
    cannot finish is read anew from Spark's state by the next attempt.
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
