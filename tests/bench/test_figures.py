"""Figures from time stamps: what is known of made-up runs has to come out."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.figures import (
    QUANTILES,
    Published,
    Window,
    count_in,
    difference,
    lag,
    latency,
    measured_window,
    outputs_a_second,
    published_rate,
    readable_latency,
    second_by_second,
    share,
)

T0 = 1_700_000_000_000


def bursts(count: int, size: int, compute_ms: int, write_ms: int) -> np.ndarray:
    """Output times of micro-batches that compute in silence and then write `size` records evenly."""
    one = np.linspace(compute_ms, compute_ms + write_ms, size)
    return np.sort(np.concatenate([T0 + k * (compute_ms + write_ms) + one for k in range(count)]).astype(np.int64))


@settings(max_examples=50)
@given(st.integers(8, 40), st.integers(50, 500), st.integers(100, 5_000), st.integers(10, 2_000), st.integers(0, 5_000))
def test_whole_micro_batches_give_their_true_rate(
    count: int, size: int, compute_ms: int, write_ms: int, warm_up_ms: int
) -> None:
    compute_ms = max(compute_ms, 2 * write_ms)  # the pause between two bursts is the longest one
    outputs = bursts(count, size, compute_ms, write_ms)
    found = outputs_a_second(outputs, measured_window(outputs, warm_up_ms))
    assert found == pytest.approx(size * 1000 / (compute_ms + write_ms), rel=0.02)


@settings(max_examples=50)
@given(st.integers(12, 40), st.floats(0.0, 0.99))
def test_a_run_that_is_cut_off_within_a_micro_batch_has_the_same_rate(count: int, cut: float) -> None:
    outputs = bursts(count, 200, 2_000, 800)
    cut_ms = T0 + round((count - 1 + cut) * 2_800)
    seen = outputs[outputs <= cut_ms]
    found = outputs_a_second(seen, measured_window(seen, 3_000, cut_ms))
    assert found == pytest.approx(200 * 1000 / 2_800, rel=0.02)


def test_a_slow_beginning_is_left_out() -> None:
    slow, fast = T0 + np.arange(0, 10_000, 100), T0 + 10_000 + np.arange(0, 60_000, 1)
    outputs = np.concatenate([slow, fast])
    assert outputs_a_second(outputs, measured_window(outputs, 10_000)) == pytest.approx(1_000, rel=0.01)


def test_too_few_outputs_have_no_rate() -> None:
    for outputs in ([], [T0], [T0, T0, T0]):
        times = np.array(outputs, np.int64)
        assert measured_window(times, 0) is None
        assert outputs_a_second(times, measured_window(times, 0)) == 0.0


@given(st.lists(st.integers(0, 100_000), min_size=1, max_size=300))
def test_latencies_are_some_of_the_values_in_order(values: list[int]) -> None:
    found = latency(values)
    assert found.records == len(values)
    assert len(found.quantiles) == len(QUANTILES)
    assert found.quantiles == sorted(found.quantiles)
    assert {found.p50, found.p95, found.p99, found.max} <= set(map(float, values))
    assert sum(value <= found.p99 for value in values) >= 0.99 * len(values)  # type: ignore[operator]


def test_no_records_have_no_latency() -> None:
    assert (latency([]).records, latency([]).p50, latency([]).quantiles) == (0, None, [])


def test_a_system_that_keeps_up_has_a_lag_that_stays_and_one_that_does_not_has_one_that_grows() -> None:
    inputs = T0 + np.arange(0, 60_000, 2)
    steady = lag(inputs, inputs + 700, T0 + 10_000, T0 + 59_000)
    assert (steady.end, steady.most) == (350, 350)
    assert steady.growth_per_second == pytest.approx(0, abs=0.1)
    behind = lag(inputs, T0 + 4 * np.arange(len(inputs)), T0 + 10_000, T0 + 59_000)
    assert behind.growth_per_second == pytest.approx(250, rel=0.02)
    assert len(behind.each_second) == 50


def test_points_are_readable_from_the_first_look_that_covers_their_score() -> None:
    sent = T0 + np.array([0, 100, 200, 300])
    written = sent + 50
    seen = [Published(T0 + 1_000, 2, T0 + 160), Published(T0 + 2_000, 3, T0 + 260)]
    found = readable_latency(sent, written, seen)
    assert (found.records, found.max, found.p50) == (3, 1_800.0, 1_000.0)
    assert readable_latency(sent, written, []).records == 0


def test_the_published_rate_counts_from_the_end_of_one_micro_batch_to_the_end_of_the_last() -> None:
    seen = [Published(T0 + 5_000 * k, 100_000 * k, T0) for k in range(1, 6)]
    assert published_rate(seen, Window(T0 + 7_000, T0 + 20_000)) == pytest.approx(20_000)
    assert published_rate(seen[:1], Window(T0, T0 + 9_000)) is None
    assert published_rate(seen, None) is None


def test_a_window_is_open_at_its_start_and_closed_at_its_end() -> None:
    assert count_in(np.array([1, 2, 3, 4]), Window(1, 3)) == 2


def test_seconds_are_those_in_which_the_inputs_were_sent() -> None:
    sent = T0 + np.array([0, 10, 2_500])
    assert second_by_second(sent, sent + np.array([5, 7, 90]), T0) == [[5.0, 7.0], [90.0, 90.0]]


def test_what_was_not_there_before_counts_from_nothing() -> None:
    assert difference({"a": 3.0, "b": 2.0}, {"a": 1.0}) == {"a": 2.0, "b": 2.0}
    assert (share(1.0, 2.0), share(None, 2.0), share(1.0, 0.0)) == (0.5, None, None)
