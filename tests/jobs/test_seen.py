"""Which records were counted: honest ones once each, whatever is invented beside them, in bounded memory."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs import seen as seen_module
from jobs.seen import Seen
from ml.features.folding import position

CHUNK = 1 << 16
FAR = st.sampled_from([0, 1, 63 * CHUNK, 64 * CHUNK, 65 * CHUNK, 2**30, 2**47, 2**48 - 1])


def at(partition: int, *offsets: int) -> np.ndarray:
    return np.array([position(np.int64(partition), np.int64(offset)) for offset in sorted(offsets)], np.int64)


def known(seen: Seen, positions: np.ndarray) -> np.ndarray:
    return seen.again(positions, np.zeros(len(positions), np.int64)).known


def take(seen: Seen, positions: np.ndarray) -> Seen:
    """What is new taken in, through its packed form."""
    again = Seen.unpacked(seen.packed)
    again.take_in(np.unique(positions[~known(seen, positions)]), {})
    return again


def test_a_score_with_a_huge_offset_has_no_other_taken_for_counted() -> None:
    seen = take(Seen(), at(0, *range(100)))
    seen = take(seen, at(0, 2**48 - 1, 2**47, 2**30))
    assert not known(seen, at(0, *range(100, 200))).any()
    assert known(seen, at(0, *range(100))).all()
    assert known(seen, at(0, 2**47)).all()


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.lists(st.tuples(st.integers(0, 2), FAR, st.integers(0, 300)), max_size=20), min_size=1, max_size=12),
    st.integers(1, 40_000),
)
def test_honest_records_count_once_each_whatever_is_invented_beside_them(
    invented: list[list[tuple[int, int, int]]], each: int
) -> None:
    seen, counted = Seen(), 0
    for number, some in enumerate(invented):
        offsets = np.arange(number * each, (number + 1) * each)
        forged = [
            position(np.int64(partition), np.int64(min(2**48 - 1, len(invented) * each + far + more)))
            for partition, far, more in some
        ]
        honest = position(np.zeros(each, np.int64), offsets)
        assert known(seen, honest).sum() == 0
        seen = take(seen, np.concatenate([honest, np.array(forged, np.int64)]))
        assert known(seen, honest).all()
        counted += each
    assert known(seen, position(np.zeros(counted, np.int64), np.arange(counted))).all()


def test_offsets_long_ago_count_as_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seen_module, "_KEPT", 3)
    seen = Seen()
    for number in range(6):
        seen = take(seen, np.arange(number * CHUNK, (number + 1) * CHUNK, 2))
    assert known(seen, at(0, 0, 1, 2, 2 * CHUNK + 1)).all()
    assert known(seen, at(0, 5 * CHUNK, 5 * CHUNK + 1)).tolist() == [True, False]


@pytest.mark.parametrize("step", [1, 2, 5])
@pytest.mark.parametrize("before", [0, 1, 10])
def test_a_flood_of_full_chunks_far_ahead_does_not_stop_a_partition(
    before: int, step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seen_module, "_KEPT", 3)
    seen = Seen()
    for number in range(before):
        seen = take(seen, np.arange(number * CHUNK, (number + 1) * CHUNK, 2))
    far = [np.arange(k * CHUNK, (k + 1) * CHUNK, 2) for k in range(10**6, 10**6 + 8)]
    for number in range(before, before + 12):
        honest = np.arange(number * CHUNK, (number + 1) * CHUNK, step)
        assert not known(seen, honest).any()
        seen = take(seen, np.concatenate([honest, *far]))


def test_what_is_kept_stays_bounded_whatever_is_invented(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seen_module, "_MOST_WITH_FEW", 64)
    monkeypatch.setattr(seen_module, "_MOST", 96)
    random, seen = np.random.default_rng(3), Seen()
    honest = 0
    for _ in range(20):
        partition, offset = random.integers(0, 2**15, 300), random.integers(0, 2**48, 300)
        own = np.arange(honest, honest + 500)
        assert not known(seen, own).any()
        seen = take(seen, np.concatenate([own, position(partition, offset)]))
        assert known(seen, own).all()
        honest += 500
        assert len(seen._chunks) <= 64 + 1
        assert len(seen.packed) < 100_000
    for partition in range(200):
        seen = take(seen, position(np.full(CHUNK, partition), np.arange(CHUNK)))
        assert len(seen._chunks) <= 96


def test_a_partition_that_begins_again_has_counted_nothing() -> None:
    seen = take(Seen(), np.concatenate([at(0, 1, 2), at(1, 1, 2)]))
    seen.forget_partition(0)
    assert known(seen, np.concatenate([at(0, 1, 2), at(1, 1, 2)])).tolist() == [False, False, True, True]
