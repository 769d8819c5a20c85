"""Labels that come late: what the bank learns of a fraud, when, and how often it learns nothing or something wrong."""

import heapq
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any, Final

import msgspec
import numpy as np
import pyarrow as pa

from generator.arrays import Array
from generator.randomness import Purpose, generator
from generator.tables import LABEL_ARROW
from ml.schema import LABEL_SOURCES, Label

SOURCE, ANALYST = LABEL_SOURCES
_DAY_MS: Final = 86_400_000


class Reporting(msgspec.Struct, frozen=True):
    """How frauds become known, all in simulated time.

    A delay is log-normal with `median_days` and `spread`, the standard deviation of its logarithm. `never` is the share of
    frauds that are never reported, `wrong` the share of the reported ones that are judged honest by mistake, and
    `false_alarms` the share of the honest transactions that are reported as fraud. `analysts` is the share of both, the frauds
    and those false alarms, that an analyst labels too, after some `analyst_days`; `wrong` of these verdicts are mistaken.
    `withdrawn` is the share of all labels that their source withdraws, as long after them as they took to come. Raises
    ValueError where one is not a share.
    """

    median_days: float = 7.0
    spread: float = 0.9
    never: float = 0.1
    wrong: float = 0.02
    false_alarms: float = 0.0002
    analysts: float = 0.0
    analyst_days: float = 0.5
    withdrawn: float = 0.0

    def __post_init__(self) -> None:
        for name in ("never", "wrong", "false_alarms", "analysts", "withdrawn"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is a share, from 0 to 1, but is {getattr(self, name)}")
        for name in ("median_days", "spread", "analyst_days"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} is at least 0, but is {getattr(self, name)}")


PERFECT: Final = Reporting(spread=0.0, never=0.0, wrong=0.0, false_alarms=0.0)
"""Every fraud is reported rightly, and nothing else, after exactly the median delay."""


def label_table(seed: int, hour: int, reporting: Reporting, made: Array, transactions: pa.Table) -> pa.Table:
    """What becomes known of an hour's DRAFTs (n,) and their table, in LABEL_ARROW and in the order of the transactions.

    It names neither scenario nor campaign: a bank learns that it was robbed, not how. It depends on the arguments alone.
    """
    rng = generator(seed, Purpose.LABELS, hour)
    fraud = np.flatnonzero(made["scenario"] >= 0)
    reported = fraud[rng.random(len(fraud)) >= reporting.never]
    honest = np.flatnonzero(made["scenario"] < 0)
    blamed = rng.choice(honest, rng.binomial(len(honest), reporting.false_alarms), replace=False)
    rows = np.sort(np.concatenate([reported, blamed]))
    delay = reporting.median_days * np.exp(reporting.spread * rng.standard_normal(len(rows)))
    mistaken = (made["scenario"][rows] >= 0) & (rng.random(len(rows)) < reporting.wrong)
    labels = np.zeros(len(rows), _SAID)
    labels["row"], labels["delay"], labels["verdict"] = rows, delay, np.where(mistaken, _HONEST, _FRAUD)
    if reporting.analysts or reporting.withdrawn:
        labels = _with_further(labels, np.concatenate([fraud, blamed]), made, reporting, (seed, hour))
    return _as_table(labels, made, transactions)


_HONEST, _FRAUD, _WITHDRAWN = range(3)
_SAID: Final = np.dtype([("row", "i8"), ("delay", "f8"), ("verdict", "u1"), ("analyst", "?")])
"""One label of a row of an hour; delay in days after the transaction."""


def _with_further(labels: Array, looked_at: Array, made: Array, reporting: Reporting, draws: tuple[int, int]) -> Array:
    """Labels (m,) SAID of DRAFTs `made`, and what analysts say of the rows that they look at, and what is withdrawn."""
    rng = generator(draws[0], Purpose.FURTHER_LABELS, draws[1])
    rows = looked_at[rng.random(len(looked_at)) < reporting.analysts]
    of_analysts = np.zeros(len(rows), _SAID)
    right = rng.random(len(rows)) >= reporting.wrong
    of_analysts["row"], of_analysts["analyst"] = rows, True
    of_analysts["verdict"] = np.where((made["scenario"][rows] >= 0) == right, _FRAUD, _HONEST)
    of_analysts["delay"] = reporting.analyst_days * np.exp(reporting.spread * rng.standard_normal(len(rows)))
    said = np.concatenate([labels, of_analysts])
    withdrawn = said[rng.random(len(said)) < reporting.withdrawn]
    withdrawn["verdict"], withdrawn["delay"] = _WITHDRAWN, 2 * withdrawn["delay"]
    whole = np.concatenate([said, withdrawn])
    in_order: Array = whole[np.argsort(whole["row"], kind="stable")]
    return in_order


def _as_table(labels: Array, made: Array, transactions: pa.Table) -> pa.Table:
    rows, delay_ms = labels["row"], (labels["delay"] * _DAY_MS).astype(np.int64)
    of = transactions.take(rows)
    columns: dict[str, Any] = {
        "transaction_id": of["transaction_id"],
        "customer_id": of["customer_id"],
        "is_fraud": pa.array(labels["verdict"] == _FRAUD, mask=labels["verdict"] == _WITHDRAWN),
        "label_time": pa.array(made["time"][rows] + delay_ms).cast(LABEL_ARROW.field(3).type),
        "source": pa.array(np.where(labels["analyst"], ANALYST, SOURCE), pa.string()),
        "scenario": pa.nulls(len(rows), pa.string()),
        "campaign": pa.nulls(len(rows), pa.string()),
    }
    return pa.table(columns, schema=LABEL_ARROW)


class LateLabels:
    """The labels that are not due yet, each due at its own `label_time`."""

    def __init__(self, labels: Iterable[Label] = ()) -> None:
        self._under_way: list[tuple[datetime, int, Label]] = []
        self._added = 0
        for label in labels:
            self.add(label)

    def __len__(self) -> int:
        return len(self._under_way)

    def add(self, label: Label) -> None:
        """Add a label of a transaction that has happened."""
        self._added += 1
        heapq.heappush(self._under_way, (label.label_time, self._added, label))

    def under_way(self) -> list[Label]:
        """The labels that are not due yet, in no order."""
        return [label for _, _, label in self._under_way]

    def due(self, now: datetime) -> Iterator[Label]:
        """Take out the labels that are due by this simulated time, the earliest first."""
        while self._under_way and self._under_way[0][0] <= now:
            yield heapq.heappop(self._under_way)[2]
