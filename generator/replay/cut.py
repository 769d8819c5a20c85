"""Where a data set is cut in two: a history before, a stream from there on."""

import re
from datetime import datetime
from typing import NamedTuple, Self

import numpy as np
import pyarrow as pa

from generator.arrays import Array
from generator.replay.errors import ReplayError
from generator.replay.fit import ROW
from generator.replay.source import Source


class Cut(NamedTuple):
    """The number of the first row, or the first event_time (ms since the epoch), that lies behind it."""

    row: int | None = None
    time_ms: int | None = None

    @classmethod
    def of(cls, option: str, text: str, source: Source) -> Self:
        """From an option's text: a share of the rows (90%, 0.9), a row's number, or a time. Raises ReplayError.

        What a conversion takes until a cut and a replay sends from it is together the whole data set, each row once.
        """
        if text.endswith("%") or re.fullmatch(r"\d*\.\d+", text):
            try:
                share = float(text[:-1]) / 100 if text.endswith("%") else float(text)
            except ValueError:
                share = -1.0
            if not 0 < share < 1:
                raise ReplayError(f"{option} has to be a share between 0% and 100%, as in 90%, but is {text!r}")
            return cls(row=source.row_of_share(share))
        if text.isdecimal():
            return cls(row=int(text))
        try:
            time = datetime.fromisoformat(text)
        except ValueError:
            time = datetime.min
        if time.tzinfo is None:
            raise ReplayError(
                f"{option} has to be a row's number, or a time in ISO 8601 with zone, such as 2019-06-01T00:00:00Z, or a "
                f"share of the rows, such as 90%, but is {text!r}"
            )
        return cls(time_ms=round(time.timestamp() * 1000))

    def behind(self, table: pa.Table) -> Array:
        """Which of the fitted rows (n,) lie behind it."""
        if self.row is not None:
            return np.asarray(table[ROW].to_numpy() >= self.row)
        return np.asarray(table["event_time"].cast(pa.int64()).to_numpy() >= (self.time_ms or 0))
