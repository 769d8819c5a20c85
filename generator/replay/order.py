"""Fitted rows in the order of time, whatever small disorder the file has."""

from collections import deque
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import NamedTuple, Self

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from generator.arrays import Array
from generator.replay.errors import ReplayError
from generator.replay.fit import ROW, TIME, Fitted
from generator.replay.source import Position

MOST_HELD = 4_000_000


class Place(msgspec.Struct, frozen=True, order=True):
    """A row's place in the order of time: its time in the file (ms since the epoch), then its number."""

    time: int
    row: int

    @classmethod
    def of(cls, table: pa.Table, n: int) -> Self:
        """The place of the nth of fitted rows; -1 is the last one."""
        return cls(table[TIME][n].as_py(), table[ROW][n].as_py())


class Piece(NamedTuple):
    """Rows in order of time. begin: a block that is no later than any row from these on."""

    table: pa.Table
    begin: Position


class InOrder:
    """Sorts fitted blocks by time, then row.

    tolerance_ms: how far a row may be behind the latest one before it; so many milliseconds are held back and sorted.
    spread_ms: rows that share a time are put evenly over so many milliseconds; None leaves them where they are.
    """

    def __init__(self, unit: str, tolerance_ms: int = 0, spread_ms: int | None = None) -> None:
        self._unit, self._tolerance, self._spread = unit, tolerance_ms, spread_ms
        self._latest = np.iinfo(np.int64).min
        self._held: list[tuple[pa.Table, Array]] = []
        self._begins: deque[Position] = deque()
        self._earliest_held = np.iinfo(np.int64).max

    def pieces(self, blocks: Iterable[Fitted], after: Place | None = None) -> Iterator[Piece]:
        """All rows in order of time, without those up to the place `after`.

        Raises ReplayError, naming the row, where one is further behind than the tolerance, or where so many rows share
        a time, or are within the tolerance, that they can't be held.
        """
        blocks = iter(blocks)
        for block in blocks:
            if not block.table.num_rows:
                continue
            times = block.table[TIME].to_numpy()
            self._refuse_disorder(block.table, times, blocks)
            self._held.append((block.table, times))
            self._begins.append(block.position)
            self._earliest_held = min(self._earliest_held, int(times.min()))
            self._refuse_too_many()
            if self._tolerance == 0 and self._spread is None:
                yield from self._released(None, after)
            elif self._earliest_held < self._latest - self._tolerance:
                yield from self._released(self._latest - self._tolerance, after)
        yield from self._released(None, after)

    def _refuse_disorder(self, table: pa.Table, times: Array, rest: Iterator[Fitted]) -> None:
        late = self._behind(times) > self._tolerance
        if late.any():
            n = int(np.flatnonzero(late)[0])
            row, behind = table[ROW][n].as_py(), self._behind(times)[n] / 1000
            raise ReplayError(
                f"rows have to be in the order of time, but {self._unit} {row:,} ({_time(int(times[n]))}) "
                f"comes {behind:,.3f} s after its time: {self._advice(times, rest)}"
            )
        self._latest = max(self._latest, int(times.max()))

    def _behind(self, times: Array) -> Array:
        """How far each row (n,) is behind the latest one before it, in ms; 0 or less where it is not."""
        latest = np.maximum.accumulate(np.concatenate([[self._latest], times]))
        behind: Array = np.maximum(latest[:-1], times) - times
        return behind

    def _advice(self, times: Array, rest: Iterator[Fitted]) -> str:
        """What helps with the whole file, which is read to its end for that: no later row then asks for more."""
        worst, rows, earliest = 0, sum(len(held) for _, held in self._held), self._earliest_held
        for block_times in chain([times], (block.table[TIME].to_numpy() for block in rest if block.table.num_rows)):
            worst = max(worst, int(self._behind(block_times).max()))
            self._latest = max(self._latest, int(block_times.max()))
            earliest, rows = min(earliest, int(block_times.min())), rows + len(block_times)
        seconds = int(np.ceil(worst / 1000))
        held = rows * worst / max(self._latest - earliest, 1)
        if held > MOST_HELD / 4 or worst > (self._latest - earliest) / 2:
            return (
                f"in it a row comes up to {seconds:,} s after its time, so it has no order: have it sorted with --sort"
            )
        return f"sort the file by its time column (--sort does it), or allow for it with --tolerance {seconds}"

    def _refuse_too_many(self) -> None:
        if sum(len(times) for _, times in self._held) > MOST_HELD:
            raise ReplayError(
                f"at most {MOST_HELD:,} rows may share a time or lie within the tolerance, but at "
                f"{_time(self._earliest_held)} there are more: give a smaller --tolerance, or a finer time column"
            )

    def _released(self, before: int | None, after: Place | None) -> Iterator[Piece]:
        """What is held and lies before a time (None: all of it), sorted and spread."""
        if not self._held:
            return
        table = pa.concat_tables([one for one, _ in self._held])
        times = np.concatenate([times for _, times in self._held])
        begin = self._begin(pc.min(table[ROW]).as_py())
        if not bool(np.all(times[1:] >= times[:-1])):
            order = np.argsort(times, kind="stable")
            table, times = table.take(order), times[order]
        cut = len(times) if before is None else int(np.searchsorted(times, before))
        self._hold(table.slice(cut), times[cut:])
        table, times = table.slice(0, cut), times[:cut]
        new = 0 if after is None else _rows_up_to(after, times, table[ROW].to_numpy())
        if new < cut:
            if self._spread is not None:
                table = _with_times(table, _spread(times, self._spread))
            yield Piece(table.slice(new), begin)

    def _begin(self, row: int) -> Position:
        """The last block that does not begin after a row; earlier ones are forgotten."""
        while len(self._begins) > 1 and self._begins[1].row <= row:
            self._begins.popleft()
        return self._begins[0]

    def _hold(self, table: pa.Table, times: Array) -> None:
        self._held = [(table, times)] if len(times) else []
        self._earliest_held = int(times[0]) if len(times) else np.iinfo(np.int64).max


def _with_times(table: pa.Table, times: Array) -> pa.Table:
    field = table.schema.field("event_time")
    column = pa.array(times).cast(field.type)
    return table.set_column(table.schema.get_field_index("event_time"), field, column)


def _spread(times: Array, over_ms: int) -> Array:
    """Sorted times (n,), those that are equal put evenly over the milliseconds that follow.

    >>> _spread(np.array([0, 0, 0, 9]), 9).tolist()
    [0, 3, 6, 9]
    """
    _, first, number = np.unique(times, return_index=True, return_counts=True)
    within = np.arange(len(times)) - np.repeat(first, number)
    spread: Array = times + within * over_ms // np.repeat(number, number)
    return spread


def _rows_up_to(place: Place, times: Array, rows: Array) -> int:
    """How many of the sorted rows are at a place or before it."""
    first, end = np.searchsorted(times, place.time), np.searchsorted(times, place.time, side="right")
    return int(first + np.searchsorted(rows[first:end], place.row, side="right"))


def _time(ms: int) -> str:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms)).isoformat()
