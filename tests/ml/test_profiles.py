"""Profiles against a slow, obvious reference, and the properties that parity between training and the job rests on."""

from fractions import Fraction
from math import floor
from pathlib import Path
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.features.fading import half_lives
from ml.features.profile_counts import added_up, label_counts, last_full_block, quantised, transaction_counts
from ml.features.profile_file import ProfilesUnreadable, read, write
from ml.features.profile_schema import (
    BLOCK_SECONDS,
    CATEGORY,
    COUNTS,
    LABEL_COUNTS,
    MERCHANT,
    NEUTRAL,
    PROFILE_FEATURES,
    SUMS,
)
from ml.features.profiles import Profiles, entity_keys, split_at
from ml.features.state_schema import FEATURES, HOUR

START = 480_000
"""A block of the year 2024."""
LATE = 15 * 24
"""So late may be what a sum with a half-life of a day still counts exactly."""
BLOCKS = 100 * 24
"""In so many the oldest records have lost bits in each halving."""

entities = st.sampled_from([0, 1, 2, 2**63, 2**64 - 1])
kinds = st.sampled_from([MERCHANT, CATEGORY])


@st.composite
def counted(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """COUNTS and LABEL_COUNTS of some blocks."""
    n, m = draw(st.integers(0, 12)), draw(st.integers(0, 12))
    block = st.integers(START, START + BLOCKS)
    counts = [
        (draw(kinds), draw(entities), draw(block), draw(st.integers(1, 9)), *draw(st.tuples(*[st.integers(0, 99)] * 3)))
        for _ in range(n)
    ]
    labels = [
        (draw(kinds), draw(entities), draw(block), draw(block), draw(block), draw(st.sampled_from([1, 1, 3, -1])))
        for _ in range(m)
    ]
    for row, (kind, entity, *blocks, frauds) in enumerate(labels):
        early, middle, late = sorted(blocks)
        labels[row] = (kind, entity, late, early, max(middle, late - LATE // 2), frauds)
    return np.array(counts, COUNTS), np.array(labels, LABEL_COUNTS)


def by_block(counts: np.ndarray, labels: np.ndarray, until: int) -> Profiles:
    """The table that is made block by block, in order."""
    table = Profiles.empty(START - 1)
    for block in sorted({*counts["block"].tolist(), *labels["block"].tolist()}):
        table.advance(block)
        table.take_in(counts[counts["block"] == block])
        table.take_in_labels(labels[labels["block"] == block])
    table.advance(until)
    return table


def content(table: Profiles) -> tuple[int, bytes, bytes, bytes]:
    kept = table.pruned()
    return kept.as_of, kept.keys.tobytes(), kept.sums.tobytes(), kept.total.tobytes()


@given(counted(), st.randoms(use_true_random=False))
def test_neither_order_nor_cuts_change_a_bit(made: tuple[np.ndarray, np.ndarray], random: Random) -> None:
    counts, labels = made
    end = START + BLOCKS
    waiting = [("take_in", row) for row in counts[:, np.newaxis]]
    waiting += [("take_in_labels", row) for row in labels[:, np.newaxis]]
    arrival = [min(end, int(row["block"][0]) + random.randint(0, LATE // 2)) for _, row in waiting]
    table = Profiles.empty(START - 1)
    for place in sorted(range(len(waiting)), key=arrival.__getitem__):
        method, row = waiting[place]
        table.advance(random.randint(int(row["block"][0]), arrival[place]))
        getattr(table, method)(row)
    table.advance(end)
    assert content(table) == content(by_block(counts, labels, end))


@given(counted())
def test_counts_that_are_added_up_are_taken_in_as_one_by_one(made: tuple[np.ndarray, np.ndarray]) -> None:
    one_by_one, at_once = Profiles.empty(START + BLOCKS), Profiles.empty(START + BLOCKS)
    for counts, method in zip(made, (Profiles.take_in, Profiles.take_in_labels), strict=True):
        for row in counts[:, np.newaxis]:
            method(one_by_one, row)
        method(at_once, added_up(counts))
    assert content(at_once) == content(one_by_one)


@given(counted())
def test_the_sums_are_what_the_reference_says(made: tuple[np.ndarray, np.ndarray]) -> None:
    counts, labels = made
    table = by_block(counts, labels, START + BLOCKS)
    rows = [(row, row["block"]) for row in counts] + [(row, row["label_block"]) for row in labels]
    for kind, entity in {(row["kind"], row["entity"]) for row, _ in rows if row["entity"] != 0}:
        own = [(row, since) for row, since in rows if (row["kind"], row["entity"]) == (kind, entity)]
        key = entity_keys(np.array([kind]), np.array([entity], np.uint64))[0]
        assert table.sums[np.flatnonzero(table.keys == key)[0]].tolist() == reference(own, table.as_of)
    assert table.total.tolist() == reference([pair for pair in rows if pair[0]["kind"] == MERCHANT], table.as_of)


def reference(rows: list[tuple[np.void, int]], as_of: int) -> list[int]:
    out = []
    for kept, half_life in zip(SUMS, half_lives(BLOCK_SECONDS), strict=True):
        sum_of_all = Fraction(0)
        for row, since in rows:
            if kept.counted in (row.dtype.names or ()):
                weight = round(2 ** (kept.weight_bits + since % half_life / half_life))
                age = int(as_of // half_life - since // half_life)
                sum_of_all += Fraction(int(row[kept.counted]) * weight * 2**kept.spare_bits, 2**age)
        out.append(floor(sum_of_all))
    return out


@given(counted(), st.integers(0, 2), st.integers(0, LATE))
def test_what_is_taken_back_leaves_no_trace(made: tuple[np.ndarray, np.ndarray], row: int, later: int) -> None:
    counts, labels = made
    table = by_block(counts, labels, START + BLOCKS)
    other = table.copy()
    said = np.array([(MERCHANT, 2, table.as_of, table.as_of - 30, table.as_of - row, 1)], LABEL_COUNTS)
    other.take_in_labels(said)
    assert content(other) != content(table)
    table.advance(table.as_of + later)
    other.advance(other.as_of + later)
    said["frauds"], said["block"] = -1, other.as_of
    other.take_in_labels(said)
    assert content(other) == content(table)


def test_what_is_taken_back_later_than_a_sum_counts_leaves_next_to_nothing() -> None:
    said = np.array([(MERCHANT, 2, START, START - 9, START, 1)], LABEL_COUNTS)
    table = Profiles.empty(START)
    table.take_in_labels(said)
    units = table.sums[0].copy()
    for days in (1, 10, 20, 60, 200):
        later = table.copy()
        later.advance(START + 24 * days)
        said["frauds"], said["block"] = -1, later.as_of
        later.take_in_labels(said)
        for column, (kept, half_life) in enumerate(zip(SUMS, half_lives(BLOCK_SECONDS), strict=True)):
            late = later.as_of // half_life - START // half_life > kept.spare_bits
            assert late or later.sums[0, column] == 0
            assert later.sums[0, column] <= units[column] / 2**kept.spare_bits


def test_a_table_takes_in_nothing_of_a_later_block() -> None:
    table = Profiles.empty(START)
    counts = np.array([(MERCHANT, 1, block, 1, 0, 50, 2500) for block in (START, START + 1)], COUNTS)
    with pytest.raises(ValueError, match=f"as of block {START} knows nothing of a later one"):
        table.take_in(counts)
    now, later = split_at(counts, START)
    table.take_in(now)
    assert len(table) == len(later) == 1
    with pytest.raises(ValueError, match="knows nothing of a later one"):
        table.take_in_labels(np.array([(MERCHANT, 1, START + 1, START, START, 1)], LABEL_COUNTS))


@given(counted())
def test_an_unknown_entity_is_neutral(made: tuple[np.ndarray, np.ndarray]) -> None:
    table = by_block(*made, START + BLOCKS)
    unknown = np.array([0, 77, 2**64 - 2], np.uint64)
    assert (table.features(unknown, unknown, np.array([0.0, 3.0, 27.0])) == NEUTRAL).all()


@given(counted(), st.booleans())
def test_what_is_read_is_what_was_written(
    tmp_path_factory: pytest.TempPathFactory, made: tuple[np.ndarray, np.ndarray], mapped: bool
) -> None:
    path = tmp_path_factory.mktemp("tables") / "table"
    table = by_block(*made, START + BLOCKS)
    digest = write(table, path)
    again, same = read(path, mapped=mapped)
    assert content(again) == content(table)
    assert same == digest == write(again.copy(), path)
    hashes = np.array([0, 1, 2, 2**63, 2**64 - 1], np.uint64)
    amounts = np.linspace(0, 9, 5)
    assert (again.features(hashes, hashes, amounts) == table.features(hashes, hashes, amounts)).all()


@pytest.mark.parametrize("change", ["shorter", "longer", "another byte", "another kind", "empty"])
def test_a_damaged_file_is_refused_by_name(tmp_path: Path, change: str) -> None:
    path = tmp_path / "table"
    write(by_block(np.array([(MERCHANT, 1, START, 1, 0, 50, 2500)], COUNTS), np.zeros(0, LABEL_COUNTS), START), path)
    data = path.read_bytes()
    changed = {
        "shorter": data[:-1],
        "longer": data + b"\0",
        "another byte": data[:5000].replace(b"\0", b"\1") + data[5000:] if len(data) < 5000 else data[:4200],
        "another kind": b"PAR1" + data,
        "empty": b"",
    }[change]
    path.write_bytes(changed if change != "another byte" else data[:4100] + bytes([data[4100] ^ 1]) + data[4101:])
    with pytest.raises(ProfilesUnreadable, match=str(path)):
        read(path)


def test_no_number_of_transactions_overflows() -> None:
    table = Profiles.empty(START)
    many = 10**9
    for block in range(START, START + 60):
        table.advance(block)
        table.take_in(np.array([(MERCHANT, 1, block, many, many, 255 * many, 255**2 * many)], COUNTS))
        table.take_in_labels(np.array([(MERCHANT, 1, block, block, block, many)], LABEL_COUNTS))
        assert (table.sums > 0).all()
    huge = np.iinfo(np.int64).max
    table.take_in(np.array([(MERCHANT, 1, START, huge, huge, huge, huge)], COUNTS))
    assert [int(kept) for kept, of in zip(table.sums[0], SUMS, strict=True) if of.counted != "frauds"] == [huge] * 7
    features = table.features(np.array([1], np.uint64), np.array([0], np.uint64), np.array([5.0]))
    assert np.isfinite(features).all()
    for _ in range(400):
        table.advance(table.as_of + 720)
    assert not table.sums.any()


def test_ten_to_the_nine_transactions_in_one_block_are_counted_exactly() -> None:
    table = Profiles.empty(START)
    table.take_in(np.array([(MERCHANT, 1, START, 10**9, 0, 255 * 10**9, 255**2 * 10**9)], COUNTS))
    assert table.sums[0].max() < np.iinfo(np.int64).max
    assert table.sums[0].tolist() == table.total.tolist()


def test_counts_are_those_of_the_transactions() -> None:
    features = np.zeros((3, len(FEATURES)))
    features[:, FEATURES.index("log_amount")] = [1.0, 2.0, 2.0]
    features[1:, FEATURES.index("new_merchant")] = 1
    merchant, category = np.array([5, 5, 0], np.uint64), np.array([9, 9, 9], np.uint64)
    counts = transaction_counts(merchant, category, np.array([7, 7, 7]), features)
    assert counts.tolist() == [
        (MERCHANT, 0, 7, 1, 1, 32, 1024),
        (MERCHANT, 5, 7, 2, 1, 48, 16**2 + 32**2),
        (CATEGORY, 9, 7, 3, 0, 80, 16**2 + 2 * 32**2),
    ]
    ones = np.ones(2, np.int64)
    labels = label_counts(merchant[:2], category[:2], 7 * ones, 8 * ones, 9 * ones, ones)
    assert labels.tolist() == [(MERCHANT, 5, 9, 7, 8, 2), (CATEGORY, 9, 9, 7, 8, 2)]


def test_a_log_amount_is_counted_in_sixteenths() -> None:
    assert quantised(np.log1p([0.0, 100.0, 1e12])).tolist() == [0, 74, 255]


def test_a_log_amount_that_no_amount_has_counts_as_the_nearest_that_one_has() -> None:
    assert quantised(np.array([-1.0, -1e308, 1e308, -0.0])).tolist() == [0, 0, 255, 0]


def traffic(until: int) -> tuple[np.ndarray, np.ndarray]:
    """Some days of traffic, quiet at night; of the last block only a tenth has come."""
    blocks = np.arange(START, until + 1)
    transactions = np.where(blocks % 24 < 6, 60, 600)
    transactions[-1] //= 10
    return blocks, transactions


@pytest.mark.parametrize("hour", [3, 6, 14])
def test_the_last_full_block_is_the_one_before_the_one_that_comes(hour: int) -> None:
    now = START + 24 * 6 + hour
    blocks, transactions = traffic(now)
    expected = now - 1 if hour >= 6 else now - 2  # at night a twentieth of a usual block takes a while
    assert last_full_block(blocks, transactions, HOUR // 1000) in (expected, now - 1)


@pytest.mark.parametrize("ahead", [1, 5, 24])
def test_a_few_records_that_are_dated_ahead_do_not_move_the_clock(ahead: int) -> None:
    now = START + 24 * 6 + 14
    blocks, transactions = traffic(now)
    before = last_full_block(blocks, transactions, BLOCK_SECONDS)
    early = np.full(8, now + ahead)
    assert last_full_block(np.append(blocks, early), np.append(transactions, np.ones(8, int)), BLOCK_SECONDS) == before
    spread = np.arange(now + 1, now + 25)
    assert last_full_block(np.append(blocks, spread), np.append(transactions, np.ones(24, int)), BLOCK_SECONDS) in (
        before,
        now - 1,
    )


def test_without_traffic_or_with_one_block_of_it_none_is_full() -> None:
    none = np.zeros(0, np.int64)
    assert last_full_block(none, none, BLOCK_SECONDS) is None
    assert last_full_block(np.array([START]), np.array([5]), BLOCK_SECONDS) is None
    assert last_full_block(np.array([START, START + 1]), np.array([5, 5]), BLOCK_SECONDS) == START


def test_features_have_names_for_merchant_and_category() -> None:
    assert len(set(PROFILE_FEATURES)) == len(PROFILE_FEATURES)
    table = Profiles.empty(START)
    assert table.features(*[np.zeros(2, np.uint64)] * 2, np.zeros(2)).shape == (2, len(PROFILE_FEATURES))
