"""A history counted in one pass, in bounded memory: what the page shows."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute

from ml.arrays import Flags, Floats, Ints
from ml.dataset.history import History
from ml.dataset.labels import Labels
from ml.features import DAY, HOUR
from ml.features.currencies import in_base
from ml.features.events import hashes
from ml.progress import Progress, silent, staged
from ml.schema import TRANSACTION_ARROW

pc: Any = pyarrow.compute

SAMPLED: Final = 200_000
"""About so many rows, evenly over the history, are kept for distributions and correlations; all else is of all rows."""
MOST_VALUES: Final = 2_000
"""A text field with more values than this is shown by how many there are alone."""
AMOUNT_EDGES: Final = np.concatenate([[0.0], np.logspace(-2, 9, 89)])
_THURSDAY: Final = 3  # the weekday of the epoch, from Monday on
_ENTITIES: Final = ("transaction_id", "customer_id", "merchant_id", "device_id")
_TEXTS: Final = ("currency", "merchant_category", "country", "channel")
_COMPACT_AFTER: Final = 2_000_000


@dataclass
class Tally:
    """Rows, and how many of them are known as fraud."""

    rows: int = 0
    frauds: int = 0


@dataclass
class Summary:
    """What was counted. Times are UTC; frauds are what the labels beside the history say, 0 without any. Amounts are in
    the base currency (`currency`; "": as they were paid), without those of no known rate.

    missing: rows without a value, by field. distinct: different values, by field of text. values: tallies by field and value,
    of fields with at most MOST_VALUES. rhythm, fraud_rhythm: (7, 24) by weekday, from Monday on, and hour. days: rows, frauds
    and amounts by day since the epoch. amounts: (2, len(AMOUNT_EDGES)) honest and fraudulent ones by bin, the last one open.
    sample: numbers of a part of the rows by name, NaN where unknown; sample_fraud: (n,) which of these are fraud.
    """

    rows: int = 0
    frauds: int = 0
    labelled: bool = False
    first_ms: int = 0
    last_ms: int = 0
    missing: dict[str, int] = field(default_factory=dict)
    distinct: dict[str, int] = field(default_factory=dict)
    values: dict[str, dict[str, Tally]] = field(default_factory=dict)
    rhythm: Ints = field(default_factory=lambda: np.zeros((7, 24), np.int64))
    fraud_rhythm: Ints = field(default_factory=lambda: np.zeros((7, 24), np.int64))
    days: dict[int, tuple[int, int, float]] = field(default_factory=dict)
    amounts: Ints = field(default_factory=lambda: np.zeros((2, len(AMOUNT_EDGES)), np.int64))
    zero_amounts: int = 0
    currency: str = ""
    unknown_currencies: int = 0
    sample: dict[str, Floats] = field(default_factory=dict)
    sample_fraud: Flags = field(default_factory=lambda: np.zeros(0, np.bool_))

    @property
    def fraud_share(self) -> float:
        """Of all rows."""
        return self.frauds / max(self.rows, 1)

    @property
    def duplicates(self) -> int:
        """Rows whose transaction_id an earlier one has too."""
        return self.rows - self.distinct["transaction_id"]

    def correlations(self, most_rows: int = 20_000) -> pd.DataFrame:
        """Spearman's rank correlations of the numbers, the hour and, where there are labels, fraud; NaN where one is constant.

        Of at most so many rows, evenly over the sample.
        """
        step = max(1, len(self.sample_fraud) // most_rows)
        columns: dict[str, Any] = {name: values[::step] for name, values in self.sample.items()}
        if self.labelled:
            columns["fraud"] = self.sample_fraud[::step].astype(np.float64)
        frame = pd.DataFrame(columns)
        return frame[[name for name in frame if frame[name].nunique() > 1]].corr("spearman", min_periods=30)


def summarize(history: History, labels: Labels | None, progress: Progress = silent) -> Summary:
    """Count a history. Raises `ml.dataset.history.HistoryError` where it can't be read."""
    counting = _Counting(history, labels)
    with staged(progress, "counting what the history holds"):
        for piece in history.pieces():
            counting.add(piece)
    return counting.finish()


class _Counting:
    def __init__(self, history: History, labels: Labels | None) -> None:
        self._labels = labels
        self._rates = history.rates
        self._step = max(1, history.rows // SAMPLED)
        self._numbers = ["amount", "latitude", "longitude", *history.extras]
        self._summary = Summary(labelled=labels is not None, currency=history.rates.base)
        self._summary.missing = dict.fromkeys([*TRANSACTION_ARROW.names, *history.extras], 0)
        self._summary.values = {name: {} for name in _TEXTS}
        self._entities: dict[str, list[Any]] = {name: [] for name in _ENTITIES}
        self._sampled: list[tuple[dict[str, Floats], Flags]] = []

    def add(self, piece: pa.Table) -> None:
        """Count the next rows."""
        summary, n = self._summary, piece.num_rows
        fraud = np.zeros(n, np.bool_)
        if self._labels is not None:
            fraud = self._labels.fraud_of(hashes(piece["transaction_id"]))
        times = piece["event_time"].cast(pa.int64()).to_numpy()
        amounts = self._amounts(piece)
        summary.first_ms = summary.first_ms if summary.rows else int(times[0])
        summary.last_ms = int(times[-1])
        for name in summary.missing:
            summary.missing[name] += piece[name].null_count
        self._count_times(times, amounts, fraud)
        summary.zero_amounts += int((amounts == 0).sum())
        bins = np.searchsorted(AMOUNT_EDGES, amounts, "right") - 1
        known = ~np.isnan(amounts)
        for of, rows in enumerate((known & ~fraud, known & fraud)):
            summary.amounts[of] += np.bincount(bins[rows], minlength=len(AMOUNT_EDGES))
        for name in list(summary.values):
            self._count_values(name, piece[name], fraud)
        for name, parts in self._entities.items():
            parts.append(np.unique(hashes(piece[name].drop_null())))
            if sum(map(len, parts)) > _COMPACT_AFTER and len(parts) > 8:
                self._entities[name] = [np.unique(np.concatenate(parts))]
        self._sample(piece, times, amounts, fraud)
        summary.rows += n
        summary.frauds += int(fraud.sum())

    def finish(self) -> Summary:
        """All that was counted."""
        summary = self._summary
        for name, parts in self._entities.items():
            summary.distinct[name] = len(np.unique(np.concatenate(parts))) if parts else 0
        for name, values in summary.values.items():
            summary.distinct[name] = len(values)
        if self._sampled:
            names = self._sampled[0][0]
            summary.sample = {name: np.concatenate([some[name] for some, _ in self._sampled]) for name in names}
            summary.sample_fraud = np.concatenate([fraud for _, fraud in self._sampled])
        return summary

    def _amounts(self, piece: pa.Table) -> Floats:
        """Amounts that can be compared, NaN where the currency's rate is unknown."""
        rates = self._rates.rates_of_column(piece["currency"])
        amounts = in_base(piece["amount"].to_numpy(), rates)
        if rates is None:
            return amounts
        self._summary.unknown_currencies += int((rates == 0).sum())
        return np.where(rates == 0, np.nan, amounts)

    def _count_times(self, times: Ints, amounts: Floats, fraud: Flags) -> None:
        days, hours = times // DAY, times // HOUR
        places = (days + _THURSDAY) % 7 * 24 + hours % 24
        self._summary.rhythm += np.bincount(places, minlength=168).reshape(7, 24)
        self._summary.fraud_rhythm += np.bincount(places[fraud], minlength=168).reshape(7, 24)
        found, inverse = np.unique(days, return_inverse=True)
        rows, money = np.bincount(inverse), np.bincount(inverse, np.nan_to_num(amounts))
        frauds = np.bincount(inverse[fraud], minlength=len(found))
        for k, day in enumerate(found.tolist()):
            before = self._summary.days.get(day, (0, 0, 0.0))
            new = (before[0] + int(rows[k]), before[1] + int(frauds[k]), before[2] + float(money[k]))
            self._summary.days[day] = new

    def _count_values(self, name: str, column: Any, fraud: Flags) -> None:
        tallies = self._summary.values[name]
        encoded = column.combine_chunks().dictionary_encode()
        known = column.is_valid().to_numpy()
        numbers = encoded.indices.fill_null(0).to_numpy()
        size = len(encoded.dictionary)
        rows = np.bincount(numbers[known], minlength=size)
        frauds = np.bincount(numbers[known & fraud], minlength=size)
        for k, value in enumerate(encoded.dictionary.to_pylist()):
            tally = tallies.setdefault(value, Tally()) if len(tallies) < MOST_VALUES else tallies.get(value)
            if tally is not None:
                tally.rows, tally.frauds = tally.rows + int(rows[k]), tally.frauds + int(frauds[k])

    def _sample(self, piece: pa.Table, times: Ints, amounts: Floats, fraud: Flags) -> None:
        rows = np.arange(-self._summary.rows % self._step, piece.num_rows, self._step)
        columns = {name: piece[name].to_numpy()[rows].astype(np.float64) for name in self._numbers}
        columns["amount"] = amounts[rows]
        columns["hour"] = times[rows] % DAY / HOUR
        self._sampled.append((columns, fraud[rows]))


def commonest(values: dict[str, Tally], most: int) -> Iterable[tuple[str, Tally]]:
    """The values with the most rows, those first."""
    return sorted(values.items(), key=lambda item: (-item[1].rows, item[0]))[:most]
