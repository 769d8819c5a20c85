"""The fold against a slow, obvious reference, and the properties that a replay rests on."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml.features import CUSTOMER, DAY, EVENT, FEATURES, HOUR, MINUTE, NO_POSITION, RECENT, fold, place, position
from ml.features.customers import Customers, identify
from ml.features.state_schema import OPEN
from ml.schema import CHANNELS
from tests.ml.reference import Customer

CUSTOMERS = 3
START = 1_790_000_000_000

hashes = st.integers(0, 2**64 - 1) | st.sampled_from([0, 1, 2, 3, 64, 65])
amounts = st.floats(0, 5_000).map(lambda x: round(x, 2)) | st.sampled_from([0.0, 1e300, 1.7e308])
degrees = st.floats(-80, 80, width=32) | st.just(float("nan"))


@st.composite
def logs(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """(slots, events): bursts and pauses of a few customers, longer than the memory, with late events and duplicates."""
    n = draw(st.integers(1, 4 * OPEN))
    events = np.zeros(n, EVENT)
    forward = st.integers(0, 2 * HOUR) | st.integers(0, 20_000) | st.sampled_from([2 * DAY, 0, 0, 0])
    aside = st.sampled_from([0] * 6) | st.integers(-3 * DAY, DAY) | st.sampled_from([-30 * DAY, 23 * HOUR, -2 * HOUR])
    events["time"] = START + np.cumsum(draw(st.lists(forward, min_size=n, max_size=n)))
    events["time"] += np.array(draw(st.lists(aside, min_size=n, max_size=n)))
    rows = [(draw(amounts), draw(degrees), draw(degrees), *[draw(hashes) for _ in range(4)]) for _ in range(n)]
    for i, name in enumerate(("amount", "latitude", "longitude", "merchant", "category", "country", "device")):
        events[name] = [row[i] for row in rows]
    events["channel"] = draw(st.lists(st.integers(0, len(CHANNELS)), min_size=n, max_size=n))
    events["transaction"] = draw(st.lists(st.integers(1, 2 * n), min_size=n, max_size=n))
    events["position"] = position(
        np.array(draw(st.lists(st.sampled_from([2, 2, 2, 3]), min_size=n, max_size=n))), np.arange(n)
    )
    return np.array(draw(st.lists(st.integers(0, CUSTOMERS - 1), min_size=n, max_size=n))), events


def as_dict(event: np.void) -> dict[str, float]:
    return {name: event[name].item() for name in EVENT.names or ()}


def burst(n: int, every: int) -> np.ndarray:
    events = np.zeros(n, EVENT)
    events["time"] = START + every * np.arange(n)
    events["amount"] = np.random.default_rng(1).gamma(2, 30, n)
    events["transaction"] = np.arange(n) + 1
    return events


@settings(deadline=None)
@given(logs())
def test_the_fold_says_what_the_reference_says(log: tuple[np.ndarray, np.ndarray]) -> None:
    slots, events = log
    folded = fold(np.zeros(CUSTOMERS, CUSTOMER), slots, events)
    reference = [Customer() for _ in range(CUSTOMERS)]
    for i, (slot, event) in enumerate(zip(slots, events, strict=True)):
        features, *about = reference[slot].add(as_dict(event))
        assert [folded.late[i], folded.duplicate_of[i], folded.order_undefined[i]] == about
        np.testing.assert_allclose(
            folded.features[i], features, rtol=1e-9, atol=1e-6, err_msg=str(dict(zip(FEATURES, features, strict=True)))
        )
        assert np.isfinite(folded.features[i]).all()


@settings(deadline=None)
@given(logs(), st.lists(st.integers(0, 3 * RECENT), max_size=8))
def test_features_do_not_depend_on_how_the_log_is_cut(log: tuple[np.ndarray, np.ndarray], cuts: list[int]) -> None:
    slots, events = log
    whole = np.zeros(CUSTOMERS, CUSTOMER)
    expected = fold(whole, slots, events)
    pieces = np.zeros(CUSTOMERS, CUSTOMER)
    bounds = [0, *sorted(min(cut, len(events)) for cut in cuts), len(events)]
    parts = [fold(pieces, slots[a:b], events[a:b]) for a, b in pairwise(bounds)]
    for name in expected._fields:
        joined = np.concatenate([getattr(part, name) for part in parts])
        assert joined.tobytes() == getattr(expected, name).tobytes()
    assert pieces.tobytes() == whole.tobytes()


@settings(deadline=None)
@given(logs())
def test_other_customers_in_between_change_nothing(log: tuple[np.ndarray, np.ndarray]) -> None:
    slots, events = log
    together = fold(np.zeros(CUSTOMERS, CUSTOMER), slots, events)
    for customer in range(CUSTOMERS):
        own = slots == customer
        alone = fold(np.zeros(1, CUSTOMER), np.zeros(own.sum(), np.int64), events[own])
        assert alone.features.tobytes() == together.features[own].tobytes()


def test_usual_countries_and_amounts_are_those_of_the_reference_over_a_long_past() -> None:
    events = burst(500, 6 * HOUR)
    events["country"] = np.random.default_rng(2).choice([3, 4, 37], 500, p=[0.7, 0.2, 0.1])
    features = fold(np.zeros(1, CUSTOMER), np.zeros(500, np.int64), events).features
    reference = Customer()
    np.testing.assert_allclose(features, [reference.add(as_dict(event))[0] for event in events], rtol=1e-9, atol=1e-6)


@pytest.mark.parametrize(("amount", "roundness"), [(0.0, 0), (19.99, 0), (17.0, 1), (120.0, 2), (150.0, 3), (1e300, 3)])
def test_the_rounder_an_amount_the_higher_its_roundness(amount: float, roundness: int) -> None:
    events = burst(1, HOUR)
    events["amount"] = amount
    folded = fold(np.zeros(1, CUSTOMER), np.zeros(1, np.int64), events)
    assert folded.features[0, FEATURES.index("roundness")] == roundness


def test_a_device_is_known_from_the_moment_it_was_first_seen() -> None:
    events = burst(5, HOUR)
    events["device"] = [7, 7, 8, 8, 7]
    folded = fold(np.zeros(1, CUSTOMER), np.zeros(5, np.int64), events)
    known_for = np.expm1(folded.features[:, FEATURES.index("log_device_age_seconds")])
    np.testing.assert_allclose(known_for, [31_536_000, 31_536_000, 0, 3_600, 31_536_000])


def test_a_duplicate_is_not_folded_and_names_the_first() -> None:
    events = burst(3, MINUTE)
    events["transaction"][2] = events["transaction"][0]
    events["position"] = position(np.array([1, 1, 1]), np.array([7, 8, 9]))
    state = np.zeros(1, CUSTOMER)
    folded = fold(state, np.zeros(3, np.int64), events)
    assert folded.duplicate_of[:2].tolist() == [NO_POSITION, NO_POSITION]
    assert place(folded.duplicate_of[2]) == (1, 7)
    assert state["count"][0] == 2


def test_a_customers_state_is_bounded() -> None:
    assert CUSTOMER.itemsize <= 1024


def test_the_documentation_lists_every_feature_and_the_size_of_the_state() -> None:
    text = (Path(__file__).parents[2] / "docs" / "features.md").read_text()
    assert [name for name in FEATURES if f"`{name}`" not in text] == []
    assert f"{CUSTOMER.itemsize} bytes a customer" in text


@pytest.mark.parametrize("every", [10 * MINUTE, HOUR, 5 * HOUR])
def test_windows_are_exact_as_long_as_there_is_room(every: int) -> None:
    n = OPEN + 1
    events = burst(n, every)
    folded = fold(np.zeros(1, CUSTOMER), np.zeros(n, np.int64), events)
    unlimited = Customer(room=10**9)
    exact = [unlimited.add(as_dict(event))[0] for event in events]
    np.testing.assert_allclose(folded.features, exact, rtol=1e-9, atol=1e-6)


@pytest.mark.parametrize(("every", "most_counts"), [(5_000, 300), (10 * MINUTE, 145), (HOUR, 27)])
def test_bursts_are_counted_to_the_last_payment(every: int, most_counts: int) -> None:
    n = 300
    events = burst(n, every)
    rows = fold(np.zeros(1, CUSTOMER), np.zeros(n, np.int64), events).features
    counts = rows[:, FEATURES.index("count_24h")]
    exact = np.minimum(np.arange(n), (DAY - 1) // every)
    assert (counts >= exact).all()
    assert (counts <= np.minimum(np.arange(n), most_counts * 1.2)).all()


@given(st.integers(0, 30_000), st.integers(0, 2**47))
def test_a_position_holds_partition_and_offset(partition: int, offset: int) -> None:
    assert place(position(np.array([partition]), np.array([offset]))[0]) == (partition, offset)


@settings(deadline=None)
@given(st.lists(st.text(max_size=2), max_size=60), st.lists(st.text(max_size=2), max_size=20))
def test_finding_customers_adds_none_and_agrees_with_locating_them(there: list[str], wanted: list[str]) -> None:
    customers = Customers(capacity=4)
    rows = dict(zip(there, customers.locate(identify(there)).tolist(), strict=True))
    before = customers.states.tobytes()
    assert customers.find(identify(wanted)).tolist() == [rows.get(name, -1) for name in wanted]
    assert (customers.count, customers.states.tobytes()) == (len(rows), before)
