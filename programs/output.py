"""Finds in a program's output why it ended."""

import re
from typing import Final

_CAUSE: Final = re.compile(r"^(Caused by:|\S*(Error|Exception)\b)")
_CHATTER: Final = re.compile(r"\b(DEBUG|INFO|WARN|WARNING)\b")
_LONGEST: Final = 300


def first_cause(text: str) -> str:
    r"""The line of a program's output that best says why it ended.

    That is its own `error:` line where it has one, else the innermost cause of a stack trace, else what it said last that
    is no warning.

    >>> first_cause("starting\nerror: Kafka does not answer\nbye")
    'Kafka does not answer'
    >>> first_cause("Traceback\n  File x\nValueError: no\nCaused by: java.io.IOException: disk full\n\tat a.b")
    'java.io.IOException: disk full'
    >>> first_cause("12:00 WARN it is slow\n")
    'it gave no reason'
    """
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    own = [line.removeprefix("error:").strip() for line in lines if line.startswith("error:")]
    causes = [line.removeprefix("Caused by:").strip() for line in lines if _CAUSE.match(line)]
    last = [line for line in lines if not _CHATTER.search(line)]
    return (own or causes or last or ["it gave no reason"])[-1][:_LONGEST]
