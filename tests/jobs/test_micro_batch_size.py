"""When a query is started again at another pace."""

from hypothesis import given
from hypothesis import strategies as st

from jobs.source.micro_batch_size import Arrived, Pace, PaceKeeper, pace
from jobs.source.record_sizes import Sizes, places

GIB = 1 << 30


def keeper(set_pace: Pace, seconds: float) -> PaceKeeper:
    times = iter([0.0, seconds])
    return PaceKeeper(400_000, GIB, set_pace, lambda: next(times))


def test_records_of_the_size_that_was_seen_change_nothing() -> None:
    assert keeper(Pace(400_000, 1_000), 1_000).off(Arrived(400_000, 400_000 * 450)) is None


def test_larger_records_are_taken_fewer_at_a_time() -> None:
    off = keeper(Pace(400_000, 1_000), 1_000).off(Arrived(400_000, 400_000 * 60_000))
    assert off == "records have 60,000 bytes now: 17,895 instead of 400,000 in a micro-batch"


def test_smaller_records_are_taken_more_at_a_time() -> None:
    assert keeper(Pace(17_895, 279), 1_000).off(Arrived(17_895, 17_895 * 450)) is not None


def test_a_query_is_not_started_again_soon_or_for_a_few_records() -> None:
    assert keeper(Pace(400_000, 1_000), 299).off(Arrived(400_000, 400_000 * 60_000)) is None
    assert keeper(Pace(400_000, 1_000), 1_000).off(Arrived(99, 99 * 60_000)) is None


@given(st.floats(0, 1e8), st.integers(0, 1 << 27), st.integers(1, 10**6), st.integers(1, 1 << 40))
def test_a_pace_is_at_least_one_record_and_never_above_its_bounds(
    mean: float, largest: int, most: int, most_bytes: int
) -> None:
    found = pace(most, most_bytes, Sizes(mean, largest))
    assert 1 <= found.most <= most
    assert found.most == 1 or found.most * mean <= most_bytes * 1.001
    assert found.a_poll == 1 or found.a_poll * largest <= 16 << 20


@given(
    st.dictionaries(st.integers(0, 30), st.tuples(st.integers(0, 10**9), st.integers(0, 10**6)), max_size=20),
    st.integers(1, 40),
)
def test_places_to_look_at_are_different_and_hold_records(lags: dict[int, tuple[int, int]], most: int) -> None:
    begin = {partition: first for partition, (first, _) in lags.items()}
    end = {partition: first + count for partition, (first, count) in lags.items()}
    found = places(begin, end, most)
    assert len(set(found)) == len(found) == min(most, sum(count for _, count in lags.values()))
    assert all(begin[partition] <= offset < end[partition] for partition, offset in found)
