"""Taking messages in: those that are transactions, as events for the fold, and why the others are not."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from detection.extras import ExtrasReader, Found, reader_of
from detection.halves import ELSEWHERE, Rows, in_halves
from detection.message_parsing import Invalid, hours_ahead, parse, too_early
from detection.refusals import Refusals
from ml.features import EVENT
from ml.features.currencies import AS_PAID, Rates
from ml.features.declared import NOTHING, Declared
from ml.features.events import events
from ml.schema import Transaction

GOOD: Final = Transaction("good", datetime(2026, 1, 2, 3, 4, 5, 678_000, UTC), "good", 12.5, "EUR", "M1", "fuel", "FR")
"""A transaction that every step must pass: where one fails for it, no message is at fault."""
_GOOD_VALUE: Final = (
    b'{"transaction_id":"good","event_time":"2026-01-02T03:04:05.678Z",'
    b'"customer_id":"good","amount":12.5,"country":"FR","note":"\\u00e9"}'
)


class Intake(NamedTuple):
    """Of n messages the m transactions, each with its row among the messages (m,) and its event (m,) EVENT, in log order.

    refusals: why the others are not transactions, by row. extras: of transactions, by row; empty where none are declared.
    """

    transactions: list[Transaction]
    rows: Rows
    events: np.ndarray
    refusals: Refusals
    extras: dict[int, Found]


def take_in(
    values: Sequence[bytes | None],
    kafka_times: npt.NDArray[np.int64],
    positions: npt.NDArray[np.int64],
    max_future_hours: float,
    rates: Rates = AS_PAID,
    declared: Declared = NOTHING,
) -> Intake:
    """Parse n messages, given with their Kafka timestamps (ms) and positions in log order; amounts by the rates."""
    refusals = Refusals()
    transactions, rows, extras = _parsed(values, reader_of(declared), refusals)
    at = np.array(rows, np.int64)

    def work(some: Rows) -> tuple[np.ndarray, npt.NDArray[np.bool_]]:
        here = slice(int(some[0]), int(some[-1]) + 1)
        arrived = events(transactions[here], positions[at[here]], rates)
        return arrived, hours_ahead(arrived["time"], kafka_times[at[here]]) > max_future_hours

    parts = in_halves(work, np.arange(len(rows)), _sound, refusals.of_step("event", rows))
    kept, arrived, early = joined(parts, (np.zeros(0, EVENT), np.zeros(0, np.bool_)))
    if early.any():

        def refuse(some: Rows) -> None:
            for k in some.tolist():
                reason = too_early(transactions[k], int(kafka_times[rows[k]]), max_future_hours)
                refusals.reasons[rows[k]] = reason  # type: ignore[assignment]  # it is too early

        in_halves(refuse, kept[early], _sound, refusals.of_step("event", rows))
        kept, arrived = kept[~early], arrived[~early]
    return Intake(taken(transactions, kept), at[kept], arrived, refusals, extras)


def _parsed(
    values: Sequence[bytes | None], reader: ExtrasReader | None, refusals: Refusals
) -> tuple[list[Transaction], list[int], dict[int, Found]]:
    """The transactions among some values, their rows, and the declared extras of each by row."""
    transactions, rows, extras = list[Transaction](), list[int](), dict[int, Found]()
    for row, value in enumerate(values):
        try:
            if reader is None:
                transaction = parse(value)
            else:
                transaction, extras[row] = reader.parse(value)
            transactions.append(transaction)
            rows.append(row)
        except Invalid as error:
            refusals.reasons[row] = str(error)
        except ELSEWHERE:
            raise
        except Exception as error:  # noqa: BLE001  # our own bugs too cost one message and no other
            _ = parse(_GOOD_VALUE) if reader is None else reader.parse(_GOOD_VALUE)
            refusals.fail(row, "parse", error)
    return transactions, rows, extras


def taken(items: list[Transaction], some: Rows) -> list[Transaction]:
    """Those of the items that stand in ascending places; where these are all places, the very list."""
    return items if len(some) == len(items) else [items[k] for k in some.tolist()]


def joined(
    parts: "Sequence[tuple[Rows, tuple[np.ndarray, ...]]]", none: "tuple[np.ndarray, ...]"
) -> "list[np.ndarray]":
    """The rows of all parts of `in_halves`, and what their work returned, end to end; `none` where there is no part."""
    if len(parts) == 1:
        return [parts[0][0], *parts[0][1]]
    if not parts:
        return [np.zeros(0, np.int64), *none]
    return [
        np.concatenate([rows for rows, _ in parts]),
        *map(np.concatenate, zip(*(out for _, out in parts), strict=True)),
    ]


def _sound() -> None:
    hours_ahead(events([GOOD], np.zeros(1, np.int64))["time"], np.zeros(1, np.int64))
