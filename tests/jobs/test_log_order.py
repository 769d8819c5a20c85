"""The operator folds messages as they come, in the order of the log, and holds no more than a piece of them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pandas as pd
import pytest

from jobs.customer_fold import CustomerFold, Limits
from jobs.dead_letters import SetAside
from jobs.source.log_order import in_log_order
from jobs.source.micro_batch_size import Arrived
from jobs.source.topic_limits import TopicLimits
from jobs.tasks import Tasks

COLUMNS = ["state_key", "partition", "offset", "kafka_time", "key", "value", "size", "everywhere"]


class Collected(list[Any]):
    """What tasks add to an accumulator."""

    add = list.append


class Dictionary:
    """Spark's state of one partition, as the operator's store."""

    def __init__(self) -> None:
        self.values: dict[int, bytes] = {}
        self.get, self.put, self.remove = self.values.get, self.values.__setitem__, self.values.pop


def message(number: int) -> bytes:
    return msgspec.json.encode(
        {
            "transaction_id": f"T{number}",
            "event_time": "2026-03-02T08:00:00Z",
            "customer_id": "C1",
            "amount": 1.0,
        }
    )


def piece(offsets: range, partition: int = 0, size: int = 100) -> pd.DataFrame:
    rows = [(2, partition, offset, 1_772_438_400_000, b"C1", message(offset), size, False) for offset in offsets]
    return pd.DataFrame(rows, columns=COLUMNS)


def operator(
    monkeypatch: pytest.MonkeyPatch, folder: Path, limits: Limits
) -> tuple[CustomerFold, Collected, Collected]:
    set_aside, arrived = Collected(), Collected()
    tasks = Tasks(set_aside, Collected(), arrived, TopicLimits())  # type: ignore[arg-type]
    processor = CustomerFold("run", limits, tasks)
    processor._store = Dictionary()  # type: ignore[assignment]
    monkeypatch.setenv("SPARK_LOCAL_DIRS", str(folder))
    return processor, set_aside, arrived


def test_each_piece_is_folded_before_the_next_one_is_asked_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    processor, _, arrived = operator(monkeypatch, tmp_path, Limits(1_000, 24.0, 1_000_000, 2))
    asked: list[int] = []

    def pieces() -> Iterator[pd.DataFrame]:
        for number in range(5):
            asked.append(number)
            yield piece(range(10 * number, 10 * number + 10))

    out = processor.handleInputRows((2,), pieces(), None)
    assert len(next(out)) == 10
    assert asked == [0]
    assert sum(len(rows) for rows in out) == 40
    assert asked == [0, 1, 2, 3, 4]
    assert arrived == [Arrived(10, 1_000)] * 5


def test_what_is_too_large_is_set_aside_by_its_place_and_its_neighbours_go_on(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    processor, set_aside, _ = operator(monkeypatch, tmp_path, Limits(1_000, 24.0, 1_000_000, 2))
    pieces = [piece(range(3)), piece(range(3, 4), size=1_001), piece(range(4, 6))]
    out = list(processor.handleInputRows((2,), iter(pieces), None))
    assert [len(rows) for rows in out] == [3, 2]
    reason = "the message has 1,001 bytes; a transaction has at most 1,000 (max_transaction_bytes)"
    assert set_aside == [{(0, 3): SetAside(reason, size=1_001)}]


def test_a_micro_batch_of_nothing_but_large_messages_leaves_the_state_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    processor, set_aside, _ = operator(monkeypatch, tmp_path, Limits(1_000, 24.0, 1_000_000, 2))
    assert not list(processor.handleInputRows((2,), iter([piece(range(4), size=2_000)]), None))
    assert len(set_aside[0]) == 4
    assert not processor._store.values  # type: ignore[attr-defined]


def test_a_dead_letter_that_its_topic_would_refuse_is_set_aside(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    processor, set_aside, _ = operator(monkeypatch, tmp_path, Limits(10_000, 24.0, 2_000, 2))
    messages = piece(range(3))
    messages.at[1, "value"] = b"x" * 3_000
    (out,) = processor.handleInputRows((2,), iter([messages]), None)
    assert len(out) == 2
    assert list(set_aside[0]) == [(0, 1)]


@pytest.mark.parametrize(
    "pieces",
    [[piece(range(3)), piece(range(2, 4))], [piece(range(3), 1), piece(range(3, 5), 0)], [piece(range(3)[::-1])]],
)
def test_messages_out_of_order_are_never_folded(pieces: list[pd.DataFrame]) -> None:
    with pytest.raises(AssertionError, match="out of the order of the log"):
        list(in_log_order(iter(pieces)))
