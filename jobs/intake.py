"""Taking messages in: those that are transactions, as events for the fold, and why the others are not."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ml.parse import Invalid, events, hours_ahead, parse, too_early
from ml.schema import Transaction


class Intake(NamedTuple):
    """Of n messages the m transactions, each with its row among the messages (m,) and its event (m,) EVENT, in log order.

    problems: why the others are none, by row.
    """

    transactions: list[Transaction]
    rows: npt.NDArray[np.int64]
    events: np.ndarray
    problems: dict[int, str]


def take_in(
    values: Sequence[bytes | None],
    kafka_times: npt.NDArray[np.int64],
    positions: npt.NDArray[np.int64],
    max_future_hours: float,
) -> Intake:
    """Parse n messages, given with their Kafka timestamps (ms) and positions in log order."""
    transactions, rows, problems = [], [], {}
    for row, value in enumerate(values):
        try:
            transactions.append(parse(value))
            rows.append(row)
        except Invalid as error:
            problems[row] = str(error)
    at = np.array(rows, np.int64)
    arrived = events(transactions, positions[at])
    early = hours_ahead(arrived["time"], kafka_times[at]) > max_future_hours
    if early.any():
        for k in np.flatnonzero(early).tolist():
            problems[rows[k]] = too_early(transactions[k], int(kafka_times[rows[k]]), max_future_hours)
        transactions = [transaction for transaction, ahead in zip(transactions, early, strict=True) if not ahead]
        at, arrived = at[~early], arrived[~early]
    return Intake(transactions, at, arrived, problems)
