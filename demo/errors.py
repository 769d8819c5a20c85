"""What the demo raises when it cannot go on."""

import re
from pathlib import Path
from typing import Final

_CAUSE: Final = re.compile(r"^\s*(Caused by:|\S*(Error|Exception)\b)")
_LONGEST: Final = 300


class DemoError(Exception):
    """One line for a person: what failed, why, and where to read more."""


def first_cause(text: str) -> str:
    r"""The line of a program's output that best says why it ended.

    That is its own `error:` line where it has one, else the innermost cause of a stack trace, else what it said last.

    >>> first_cause("starting\nerror: Kafka does not answer\nbye")
    'Kafka does not answer'
    >>> first_cause("Traceback\n  File x\nValueError: no\n")
    'ValueError: no'
    >>> first_cause("\n")
    'it said nothing'
    """
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    own = [line.removeprefix("error:").strip() for line in lines if line.startswith("error:")]
    causes = [line.removeprefix("Caused by:").strip() for line in lines if _CAUSE.match(line)]
    return (own or causes or lines or ["it said nothing"])[-1][:_LONGEST]


def ended_badly(what: str, log: Path) -> DemoError:
    """The error for a program that should still run, or should have ended well."""
    text = log.read_text(errors="replace") if log.exists() else ""
    return DemoError(f"{what}: {first_cause(text).rstrip('.')} (its output is in {log}).")
