"""Messages are taken in or refused each by itself, and where it stands."""

from datetime import UTC, datetime

import msgspec
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from detection.intake import take_in
from detection.message_parsing import parse, too_early
from ml.schema import Transaction

NOW = 1_780_000_000_000


def message(number: int, time_ms: int) -> bytes:
    time = datetime.fromtimestamp(time_ms / 1000, UTC)
    return msgspec.json.encode(Transaction(f"t{number}", time, f"c{number}", 1.0))


@settings(deadline=None, max_examples=50)
@given(st.floats(0.001, 100.0), st.lists(st.integers(-2, 2), min_size=1, max_size=5))
def test_a_transaction_at_the_edge_of_the_future_is_taken_in_or_refused_with_a_reason(
    max_future_hours: float, beside_the_edge_ms: list[int]
) -> None:
    edge = NOW + int(max_future_hours * 3_600_000)
    values = [message(number, edge + beside) for number, beside in enumerate(beside_the_edge_ms)]
    kafka_times, positions = np.full(len(values), NOW), np.arange(len(values))
    taken = take_in(values, kafka_times, positions, max_future_hours)
    expected = [too_early(parse(value), NOW, max_future_hours) for value in values]
    assert taken.refusals.reasons == {row: reason for row, reason in enumerate(expected) if reason is not None}
    assert taken.rows.tolist() == [row for row, reason in enumerate(expected) if reason is None]


def test_what_is_no_transaction_leaves_its_neighbours_in_their_places() -> None:
    values = [b"{}", message(1, NOW), None, message(3, NOW + 90_000_000), message(4, NOW), b"[]"]
    taken = take_in(values, np.full(6, NOW), np.arange(100, 106), 24.0)
    assert [transaction.transaction_id for transaction in taken.transactions] == ["t1", "t4"]
    assert taken.rows.tolist() == [1, 4]
    assert taken.events["position"].tolist() == [101, 104]
    assert sorted(taken.refusals.reasons) == [0, 2, 3, 5]
    assert "25.0 h ahead" in taken.refusals.reasons[3]
