"""Adaptive thresholds: the same for any cut of the stream, within bounds, and no help to a wave of fraud."""

from itertools import pairwise

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml.arrays import Flags, Floats, Ints, Names
from ml.features import DAY, HOUR, MINUTE
from ml.scorers.probability import sigmoid
from ml.segments import segment_ids
from ml.thresholds.budget import threshold_for_budget
from ml.thresholds.counts import ALERTS, BLOCK, COUNT, counted, merged
from ml.thresholds.grid import BINS, OWN, Grid, above
from ml.thresholds.making import WAVE, thresholds_for
from ml.thresholds.reference import Reference
from ml.thresholds.table import Lookup, Table, table_at

BUDGET = 0.005
SEGMENTS = np.array([f"online × {name}" for name in ("travel", "grocery", "fuel", "rare")], object)
SHARES = (0.3, 0.4, 0.299, 0.001)
HIGHER = {"online × travel": 1.0}
"""By how much, in log-odds, a segment's scores are higher."""

MONDAY = 20_580 * DAY


def traffic(random: np.random.Generator, rows: int, shift: float = 0.0) -> tuple[Floats, Names]:
    """Scores (n,) and segments (n,) of ordinary transactions."""
    segments = random.choice(SEGMENTS, rows, p=SHARES)
    logits = random.normal(-6.0, 1.5, rows) + [HIGHER.get(name, 0.0) for name in segments] + shift
    return sigmoid(logits), segments


@pytest.fixture(scope="module")
def reference() -> Reference:
    scores, segments = traffic(np.random.default_rng(0), 100_000)
    return Reference.from_scores(scores, segments, threshold_for_budget(scores, BUDGET), BUDGET)


def spread(random: np.random.Generator, rows: int, hours: float, until: int = MONDAY) -> Ints:
    return np.sort(random.integers(until - round(hours * HOUR), until, rows))


def counts_of(
    reference: Reference, time: Ints, scores: Floats, segments: Names, is_alert: Flags | None = None
) -> np.ndarray:
    alerts = scores > reference.grid.own if is_alert is None else is_alert
    return counted(time, segment_ids(segments), reference.grid.bins(scores), alerts)


def days_before(reference: Reference, shift: float = 0.0, seed: int = 1, rows: int = 50_000) -> np.ndarray:
    """Counts of the day before MONDAY; alerts are what the budget allows."""
    random = np.random.default_rng(seed)
    scores, segments = traffic(random, rows, shift)
    return counts_of(reference, spread(random, rows, 24), scores, segments, random.random(rows) < BUDGET)


def share_above(table: Table, shift: float = 0.0) -> float:
    """Of other traffic of the same kind: the share above the table's thresholds."""
    scores, segments = traffic(np.random.default_rng(2), 400_000, shift)
    return float(
        (scores > Lookup.from_thresholds(table.default, table.thresholds).of_segments(segment_ids(segments))).mean()
    )


def places(table: Table, grid: Grid) -> Ints:
    return np.searchsorted(grid.thresholds, [*table.thresholds.values(), table.default])


def test_a_score_is_above_a_threshold_of_the_grid_just_if_its_bin_says_so(reference: Reference) -> None:
    grid = reference.grid.thresholds
    assert len(grid) == BINS - 1
    assert (np.diff(grid) > 0).all()
    assert grid[OWN] == reference.grid.own
    scores = np.concatenate([grid, np.nextafter(grid, 0), np.nextafter(grid, 1), [0.0, 1.0]])
    assert ((scores[:, None] > grid) == (reference.grid.bins(scores)[:, None] > np.arange(BINS - 1))).all()
    counts = np.bincount(reference.grid.bins(scores), minlength=BINS)
    assert above(counts).tolist() == (scores[:, None] > grid).sum(axis=0).tolist()


@pytest.mark.parametrize("scores", [np.full(500, 0.3), np.r_[np.zeros(300), np.ones(300)], np.array([0.1, 0.2])])
def test_a_grid_ascends_also_where_scores_are_few_or_all_the_same(scores: Floats) -> None:
    grid = Grid.from_scores(scores, threshold_for_budget(scores, BUDGET), BUDGET).thresholds
    assert (np.diff(grid) >= 0).all()
    assert 0 <= grid[0] < grid[-1] <= 1


@given(st.data())
@settings(max_examples=30, deadline=None)
def test_the_table_is_the_same_for_any_cut_of_the_stream_and_any_order_of_its_pieces(data: st.DataObject) -> None:
    random = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    scores, segments = traffic(random, 2_000)
    reference = Reference.from_scores(
        scores[:1_000], segments[:1_000], threshold_for_budget(scores[:1_000], 0.02), 0.02
    )
    time = random.integers(MONDAY - DAY, MONDAY + HOUR, 2_000)
    cuts = sorted({0, 2_000, *data.draw(st.lists(st.integers(0, 2_000), max_size=8))})
    pieces = [counts_of(reference, time[a:b], scores[a:b], segments[a:b]) for a, b in pairwise(cuts)]
    whole = counts_of(reference, time, scores, segments)
    together = merged(data.draw(st.permutations(pieces)))
    assert together.tobytes() == whole.tobytes()
    assert int(whole["count"][whole["bin"] != ALERTS].sum()) == 2_000
    made = [msgspec.json.encode(table_at(MONDAY + HOUR - 1, c, reference, 1, 1)) for c in (whole, together)]
    assert made[0] == made[1]


def test_ordinary_traffic_keeps_the_models_own_threshold(reference: Reference) -> None:
    table = table_at(MONDAY, days_before(reference), reference, 1, 7)
    assert (table.version, table.model_version, table.alarm) == (1, 7, 0)
    assert np.abs(places(table, reference.grid) - OWN).max() <= 4
    assert share_above(table) == pytest.approx(BUDGET, rel=0.15)


def test_without_any_score_it_is_the_models_own_threshold(reference: Reference) -> None:
    table = table_at(MONDAY, np.empty(0, COUNT), reference, 1, 1)
    assert np.abs(places(table, reference.grid) - OWN).max() <= 1


def test_a_segment_keeps_its_share_of_the_alerts_and_is_not_levelled(reference: Reference) -> None:
    own = dict(zip((s.name for s in reference.segments), reference.own_shares, strict=True))
    assert own["online × travel"] > 3 * own["online × fuel"]
    table = table_at(MONDAY, days_before(reference), reference, 1, 1)
    travel, fuel = (table.thresholds[f"online × {name}"] for name in ("travel", "fuel"))
    assert abs(np.subtract(*np.searchsorted(reference.grid.thresholds, [travel, fuel]))) <= 6


@pytest.mark.parametrize("shift", [-0.5, 0.5])
def test_a_day_after_a_lasting_shift_the_alerts_are_within_the_budget_again(reference: Reference, shift: float) -> None:
    before = share_above(table_at(MONDAY, days_before(reference), reference, 1, 1), shift)
    assert abs(before / BUDGET - 1) > 0.4
    after = share_above(table_at(MONDAY, days_before(reference, shift), reference, 2, 1), shift)
    assert after == pytest.approx(BUDGET, rel=0.2)


def wave(reference: Reference, begin: int, rows: int = 600) -> np.ndarray:
    """Counts of ten minutes of fraud in one segment, with high scores."""
    random = np.random.default_rng(4)
    scores = sigmoid(random.normal(0.0, 2.0, rows))
    return counts_of(
        reference, random.integers(begin, begin + 10 * MINUTE, rows), scores, np.full(rows, "online × travel")
    )


def test_a_wave_under_way_raises_no_threshold(reference: Reference) -> None:
    calm = days_before(reference)
    during = merged([calm, wave(reference, MONDAY)])
    without = table_at(MONDAY + 10 * MINUTE, calm, reference, 1, 1)
    table = table_at(MONDAY + 10 * MINUTE, during, reference, 1, 1)
    assert table.alarm == 2
    assert (places(table, reference.grid) <= places(without, reference.grid)).all()


def test_an_ordinary_campaign_is_no_wave(reference: Reference) -> None:
    chosen = thresholds_for(MONDAY // BLOCK, days_before(reference), reference)
    rows = np.full(3, 100 / BUDGET, np.int64)
    assert chosen.alarm(rows, np.array([130, 160, 250])).tolist() == [0, 1, 2]


def test_a_wave_that_is_over_raises_its_own_threshold_by_little(reference: Reference) -> None:
    calm = days_before(reference)
    without = places(table_at(MONDAY, calm, reference, 1, 1), reference.grid)
    during = merged([calm, wave(reference, MONDAY - HOUR)])
    assert during["count"].sum() - calm["count"].sum() > calm["count"][calm["bin"] > OWN].sum()  # it doubles the alerts
    table = places(table_at(MONDAY, during, reference, 1, 1), reference.grid)
    assert (table - without).max() <= 3


def test_in_a_wave_nothing_is_saved_up_for_the_day(reference: Reference) -> None:
    random = np.random.default_rng(5)
    rows = 30_000
    scores, segments = traffic(random, rows)
    spent = random.random(rows) < 2 * BUDGET
    today = counts_of(reference, spread(random, rows, 12, MONDAY + 12 * HOUR), scores, segments, spent)
    until_noon = merged([days_before(reference), today])
    paced = table_at(MONDAY + 12 * HOUR + 10 * MINUTE, until_noon, reference, 1, 1)
    assert share_above(paced) < 0.75 * BUDGET
    in_wave = merged([until_noon, wave(reference, MONDAY + 12 * HOUR)])
    table = table_at(MONDAY + 12 * HOUR + 10 * MINUTE, in_wave, reference, 1, 1)
    assert table.alarm == 2
    assert share_above(table) == pytest.approx(WAVE * BUDGET, rel=0.2)


@given(st.integers(0, 2**32), st.floats(-10, 10), st.integers(1, 3_000))
@settings(max_examples=30, deadline=None)
def test_thresholds_stay_within_the_bounds(seed: int, shift: float, rows: int) -> None:
    random = np.random.default_rng(seed)
    scores, segments = traffic(random, 3_000)
    reference = Reference.from_scores(scores, segments, threshold_for_budget(scores, 0.01), 0.01)
    scores, segments = traffic(random, rows, shift)
    counts = counts_of(reference, spread(random, rows, 30, MONDAY + HOUR), scores, segments)
    table = table_at(MONDAY + HOUR - 1, counts, reference, 1, 1)
    values = np.array([*table.thresholds.values(), table.default])
    assert ((values >= reference.grid.floor) & (values <= reference.grid.ceiling)).all()


def test_a_small_segment_leans_on_the_whole(reference: Reference) -> None:
    calm = days_before(reference)
    rows = 8
    rare = counts_of(
        reference, spread(np.random.default_rng(6), rows, 24), np.full(rows, 0.9), np.full(rows, "online × rare")
    )
    before, after = (
        places(table_at(MONDAY, counts, reference, 1, 1), reference.grid) for counts in (calm, merged([calm, rare]))
    )
    assert (np.abs(after - before) <= 2).all()


def test_a_segment_that_meets_more_fraud_does_not_pay_for_it_alone(reference: Reference) -> None:
    calm, frauds = days_before(reference), 100
    met = counts_of(
        reference,
        spread(np.random.default_rng(6), frauds, 24),
        np.full(frauds, 0.9),
        np.full(frauds, "online × travel"),
    )
    before, after = (
        places(table_at(MONDAY, counts, reference, 1, 1), reference.grid) for counts in (calm, merged([calm, met]))
    )
    assert (after > before).all()
    assert np.ptp(after - before) <= 3


def test_a_segment_that_the_reference_does_not_know_has_the_default(reference: Reference) -> None:
    table = table_at(MONDAY, days_before(reference), reference, 1, 1)
    lookup = Lookup.from_thresholds(table.default, table.thresholds)
    names = np.array(["online × new", "online × fuel", "online × travel"], object)
    assert lookup.of_segments(segment_ids(names)).tolist() == [
        table.default,
        table.thresholds["online × fuel"],
        table.thresholds["online × travel"],
    ]


def test_older_scores_than_a_day_and_the_block_under_way_do_not_count(reference: Reference) -> None:
    calm = days_before(reference)
    random = np.random.default_rng(7)
    scores, segments = traffic(random, 5_000, 1.0)
    old = counts_of(reference, spread(random, 5_000, 24, MONDAY - DAY), scores, segments)
    table, other = (table_at(MONDAY, counts, reference, 1, 1) for counts in (calm, merged([calm, old])))
    assert table.same_thresholds(other)


def test_a_table_and_a_reference_survive_json(reference: Reference) -> None:
    table = table_at(MONDAY, days_before(reference), reference, 3, 2)
    assert msgspec.json.decode(msgspec.json.encode(table), type=Table) == table
    assert msgspec.json.decode(msgspec.json.encode(reference), type=Reference) == reference
    assert len(msgspec.json.encode(table)) < 1_000
