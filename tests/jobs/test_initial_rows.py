"""A group's states are read before its records, and only one piece is held at a time."""

import weakref
from collections.abc import Iterator

import pandas as pd
import pytest

from jobs.runtime.initial_rows import OutOfOrder, Pair, split

NOTHING = pd.DataFrame()


def frame(*numbers: int) -> pd.DataFrame:
    return pd.DataFrame({"number": numbers})


def numbers(frames: Iterator[pd.DataFrame]) -> list[int]:
    return [number for each in frames for number in each["number"]]


def test_states_come_first_and_records_follow_in_their_order() -> None:
    records, states = split(
        iter([(NOTHING, frame(1, 2)), (NOTHING, frame(3)), (frame(4), NOTHING), (frame(5, 6), NOTHING)])
    )
    assert numbers(states) == [1, 2, 3]
    assert numbers(records) == [4, 5, 6]


def test_a_piece_may_hold_the_last_states_and_the_first_records() -> None:
    records, states = split(iter([(frame(2), frame(1)), (frame(3), NOTHING)]))
    assert numbers(states) == [1]
    assert numbers(records) == [2, 3]


@pytest.mark.parametrize("pairs", [[], [(NOTHING, frame(1))], [(frame(1), NOTHING)]])
def test_either_may_be_missing(pairs: list[Pair]) -> None:
    records, states = split(iter(pairs))
    assert numbers(states) + numbers(records) == ([1] if pairs else [])


def test_a_state_after_records_is_not_left_out_in_silence() -> None:
    records, states = split(iter([(frame(1), NOTHING), (NOTHING, frame(2))]))
    assert numbers(states) == []
    with pytest.raises(OutOfOrder, match="state after records"):
        numbers(records)


def test_no_piece_that_was_handed_over_is_kept() -> None:
    made: list[weakref.ref[pd.DataFrame]] = []

    def pairs() -> Iterator[Pair]:
        yield NOTHING, frame(0)
        for number in range(20):
            piece = frame(number)
            made.append(weakref.ref(piece))
            yield piece, NOTHING

    records, states = split(pairs())
    numbers(states)
    for _ in records:
        assert sum(reference() is not None for reference in made) <= 3
