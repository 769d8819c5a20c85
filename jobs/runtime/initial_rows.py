"""The first micro-batch of a stateful query, in bounded memory.

Spark hands a stateful processor the initial state and the records of its group by one iterator, and splits it in two by
`itertools.tee`: while the states are read to their end, every record of the group is kept (pyspark 4.2.0, `pyspark/worker.py`).
Spark writes a group's states before its records, so that nothing need be kept.
"""

from collections.abc import Callable, Iterator
from typing import Any

import pandas as pd
import pyspark.worker

Pair = tuple[pd.DataFrame, pd.DataFrame]
"""Records and states of a group, of which one is empty."""

_NAME = "wrap_grouped_transform_with_state_pandas_init_state_udf"


class OutOfOrder(Exception):
    """A state came after a record of its group: it would have been left out."""


def split(pairs: Iterator[Pair]) -> tuple[Iterator[pd.DataFrame], Iterator[pd.DataFrame]]:
    """(records, states) of a group, one piece at a time; the states are to be read first.

    Raises `OutOfOrder` where they do not all come before the records.
    """
    held: list[pd.DataFrame] = []

    def states() -> Iterator[pd.DataFrame]:
        for records, some in pairs:
            if not some.empty:
                yield some
            if not records.empty:
                held.append(records)
                return

    def records() -> Iterator[pd.DataFrame]:
        while held:
            yield held.pop(0)
        for some, late in pairs:
            if not late.empty:
                raise OutOfOrder(
                    "Spark gave a customer's state after records of its group, which this job can't take in"
                )
            if not some.empty:
                yield some

    return records(), states()


def _wrapped(function: Callable[..., Any], return_type: Any, _: Any) -> Callable[..., Any]:
    def work(client: Any, mode: Any, key: Any, pairs: Iterator[Pair]) -> Any:
        return function(client, mode, key, *split(pairs))

    return lambda client, mode, key, pairs: [(work(client, mode, key, pairs), return_type)]


def bound_memory() -> None:
    """Have this process, and the workers that it forks, read so. Raises AttributeError where Spark has no such function."""
    getattr(pyspark.worker, _NAME)
    setattr(pyspark.worker, _NAME, _wrapped)
