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
from ml.schema import Label

SOURCE: Final = "chargeback"
_DAY_MS: Final = 86_400_000


class Reporting(msgspec.Struct, frozen=True):
    """How frauds become known, all in simulated time.

    A delay is log-normal with `median_days` and `spread`, the standard deviation of its logarithm. `never` is the share of
    frauds that are never reported, `wrong` the share of the reported ones that are judged honest by mistake, and
    `false_alarms` the share of the honest transactions that are reported as fraud. Raises ValueError where one is not a share.
    """

    median_days: float = 7.0
    spread: float = 0.9
    never: float = 0.1
    wrong: float = 0.02
    false_alarms: float = 0.0002

    def __post_init__(self) -> None:
        for name in ("never", "wrong", "false_alarms"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is a share, from 0 to 1, but is {getattr(self, name)}")
        if not (self.median_days >= 0 and self.spread >= 0):
            raise ValueError(f"median_days and spread are at least 0, but are {self.median_days} and {self.spread}")


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
    of = transactions.take(rows)
    columns: dict[str, Any] = {
        "transaction_id": of["transaction_id"],
        "customer_id": of["customer_id"],
        "is_fraud": pa.array(~mistaken),
        "label_time": pa.array(made["time"][rows] + (delay * _DAY_MS).astype(np.int64)).cast(LABEL_ARROW.field(3).type),
        "source": pa.repeat(SOURCE, len(rows)),
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
