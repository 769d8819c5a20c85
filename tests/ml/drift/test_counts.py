"""Counts are the same however a stream was cut, in any order, and bounded."""

from typing import Final

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ml.drift.bins import BINS, MOST_SEGMENTS, OTHER, SCORE, Bins
from ml.drift.counts import BLOCK, ISSUES, Counts, Rows, merged

RNG: Final = np.random.default_rng(3)
N: Final = 400
FEATURES: Final = np.column_stack([RNG.normal(size=N), RNG.integers(0, 2, N), np.full(N, 7.0)])
SCORES: Final = RNG.random(N)
SEGMENTS: Final = np.array(["online × food", "atm × ?", "chip × fuel"], object)[RNG.integers(0, 3, N)]
TIMES: Final = np.sort(RNG.integers(0, 20 * BLOCK, N))
LACKING: Final = RNG.random((N, len(ISSUES))) < 0.1
BINS_OF: Final = Bins.from_rows(("amount", "flag", "same"), FEATURES, SCORES, SEGMENTS)


def counted(rows: np.ndarray) -> Counts:
    some = Rows(TIMES[rows], FEATURES[rows], SCORES[rows], SEGMENTS[rows], SCORES[rows] > 0.9)
    return Counts.counted(BINS_OF, some, LACKING[rows])


def equal(one: Counts, other: Counts) -> bool:
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in Counts.__dataclass_fields__)


@given(st.permutations(range(N)), st.lists(st.integers(0, N), max_size=6))
def test_any_cut_in_any_order_gives_the_same_counts(order: list[int], cuts: list[int]) -> None:
    pieces = np.split(np.array(order), sorted(cuts))
    assert equal(merged(map(counted, pieces)), counted(np.arange(N)))


def test_each_transaction_is_counted_once_in_each_column() -> None:
    counts = counted(np.arange(N))
    assert (counts.columns.sum(axis=(0, 2)) == N).all()
    assert counts.rows.sum() == N
    assert counts.alerts.sum() == (SCORES > 0.9).sum()
    assert (counts.alerts <= counts.segments.sum(2)).all()


def test_the_blocks_of_a_span_are_those_that_begin_in_it() -> None:
    some = counted(np.arange(N)).between(3, 7)
    assert some.blocks.tolist() == [3, 4, 5, 6]
    assert some.rows.sum() == ((TIMES >= 3 * BLOCK) & (TIMES < 7 * BLOCK)).sum()


def test_bins_hold_about_as_many_and_a_rare_value_has_its_own() -> None:
    rare = np.zeros((10_000, 1))
    rare[:7] = 1
    scores = np.linspace(0, 1, 10_000)
    bins = Bins.from_rows(("rare",), rare, scores, np.full(10_000, "a", object))
    places = bins.places(rare, scores)
    assert np.bincount(places[:, 0]).tolist() == [9_993, 7]
    shares = np.bincount(places[:, 1]) / 10_000
    assert len(shares) == BINS
    assert shares.min() >= 0.0099
    assert bins.names == ("rare", SCORE)


def test_what_is_no_number_is_counted_and_breaks_nothing() -> None:
    strange = np.array([[np.nan, np.inf, -np.inf]])
    assert BINS_OF.places(strange, np.array([0.5]))[0, :3].tolist() == [0, 1, 0]


def test_segments_beyond_the_largest_are_counted_together() -> None:
    names = np.array([f"s{number:03d}" for number in range(100)], object)
    bins = Bins.from_rows((), np.empty((100, 0)), np.zeros(100), names)
    assert len(bins.segments) == MOST_SEGMENTS
    assert OTHER not in bins.segments
    assert bins.segment_places(np.array(["s000", "new"], object)).tolist() == [0, MOST_SEGMENTS]
