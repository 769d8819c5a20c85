"""Transactions as a CSV file that a spreadsheet can open without running anything of what is in it."""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Final

from page.search.wanted import COLUMNS, Found

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
"""With which of these a cell begins, a spreadsheet may run it: "CSV injection", OWASP."""


def safe(text: str) -> str:
    """A text as a cell: what could be a formula is behind an apostrophe.

    >>> safe("=1+1"), safe("  @x"), safe("\\t=1"), safe("c-7")
    ("'=1+1", "'  @x", "'\\t=1", 'c-7')
    """
    return f"'{text}" if text.startswith(_FORMULA) or text.lstrip().startswith(_FORMULA) else text


def lines(pieces: Iterable[Sequence[Found]], most: int) -> Iterator[bytes]:
    """The file in pieces: a header, at most so many rows, and a last line in words where there are more."""
    yield _encoded([COLUMNS])
    count = 0
    for piece in pieces:
        room = most - count
        yield _encoded([_cells(one) for one in piece[:room]])
        count += len(piece)
        if count > most:
            yield _encoded([[f"only the first {most} rows: there are more; narrow the search"]])
            return


def _cells(one: Found) -> list[object]:
    cells: list[object] = [safe(value) if isinstance(value, str) else value for value in one]
    cells[1] = _time(one.event_time)
    return cells


def _time(ms: int) -> str:
    try:
        return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds")
    except (OverflowError, ValueError, OSError):
        return str(ms)


def _encoded(rows: Iterable[Sequence[object]]) -> bytes:
    file = io.StringIO(newline="")
    csv.writer(file).writerows(rows)
    return file.getvalue().encode()
