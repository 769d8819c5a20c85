"""What the demo raises when it cannot go on."""

import signal
from pathlib import Path

from programs.output import first_cause


class DemoError(Exception):
    """One line for a person: what failed, why, and where to read more."""


def ended_badly(what: str, log: Path, exit_status: int | None = None) -> DemoError:
    """The error for a program that should still run, or should have ended well; a negative status is a signal's number."""
    text = log.read_text(errors="replace") if log.exists() else ""
    cause = first_cause(text).rstrip(".")
    if exit_status is not None and exit_status < 0:
        cause = f"it was ended by {signal.Signals(-exit_status).name}"
    return DemoError(f"{what}: {cause} (its output is in {log}).")
