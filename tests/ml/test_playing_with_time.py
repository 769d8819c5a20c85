"""Who may choose the times of payments hides nothing and disturbs nobody: floods of them, back-dated, early and mixed."""

from collections.abc import Callable
from typing import Final

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml.detectors.isolation_forest import IsolationForest
from ml.features import CUSTOMER, DAY, EVENT, FEATURES, HISTORY, HOUR, MINUTE, SECOND, fold
from ml.features.state_schema import OPEN
from ml.model import Model, usual_ranges
from ml.thresholds.budget import threshold_for_budget
from tests.ml.reference import Customer

NOW: Final = 1_790_000_000_000
MONTH: Final = 30 * DAY
CUSTOMERS, DAYS = 300, 40
WINDOWS: Final = [FEATURES.index(name) for name in ("count_10m", "count_1h", "count_24h", "sum_1h", "sum_24h")]

Times = Callable[[np.random.Generator, int], np.ndarray]


def payments(times: np.ndarray, random: np.random.Generator, first: int = 1) -> np.ndarray:
    """(n,) EVENT: everyday payments at a customer's usual shops, with transaction numbers from `first` on."""
    n = len(times)
    events = np.zeros(n, EVENT)
    events["time"] = times
    events["amount"] = np.round(random.gamma(2, 20, n), 2)
    events["latitude"], events["longitude"] = 48.8 + random.normal(0, 0.05, (2, n))
    events["transaction"] = np.arange(first, first + n)
    events["merchant"] = random.integers(1, 15, n)
    events["category"] = events["merchant"] % 6 + 1
    events["country"] = 7
    events["device"] = np.where(random.random(n) < 0.3, 5, 0)
    events["channel"] = random.integers(1, 5, n)
    events["position"] = HISTORY
    return events


def past(random: np.random.Generator, a_day: float = 2.5) -> np.ndarray:
    """One customer's ordinary payments of DAYS days until NOW."""
    return payments(np.sort(NOW - random.integers(HOUR, DAYS * DAY, int(a_day * DAYS))), random)


def spree(random: np.random.Generator, n: int = 12) -> np.ndarray:
    """Large payments online, at shops that the customer has never been to, 40 s apart."""
    events = payments(NOW + 40 * SECOND * np.arange(n), random, 1_000_000)
    events["amount"] = np.round(random.uniform(30, 120, n), 2)
    events["merchant"] = random.integers(10**9, 10**18, n)
    events["channel"], events["device"] = 4, 987_654_321
    return events


@pytest.fixture(scope="module")
def model() -> Model:
    """A forest that has seen many customers' ordinary days, with a budget of 0.5 %."""
    random = np.random.default_rng(1)
    logs = [past(random, a_day) for a_day in random.gamma(2, 1.25, CUSTOMERS) + 0.2]
    events = np.concatenate(logs)
    slots = np.repeat(np.arange(CUSTOMERS), [len(log) for log in logs])
    rows = fold(np.zeros(CUSTOMERS, CUSTOMER), slots, events).features[::2]
    scorer = IsolationForest().fit(rows, np.zeros(len(rows), np.bool_), 1)
    threshold = threshold_for_budget(scorer.anomaly_score(rows), 0.005)
    return Model("scoreline", 1, scorer, threshold, FEATURES, usual_ranges(rows), 0.005)


def features_of(log: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """The features that one customer's events with these transaction numbers have within a log."""
    folded = fold(np.zeros(1, CUSTOMER), np.zeros(len(log), np.int64), log)
    return folded.features[np.isin(log["transaction"], wanted["transaction"])]


def mixed_with(hostile: np.ndarray, honest: np.ndarray, random: np.random.Generator, before: int) -> np.ndarray:
    """One log: `before` honest events, then the others with the hostile ones spread before and between them."""
    places = np.sort(random.integers(before, len(honest), len(hostile)))
    return np.insert(honest, places, hostile)


FLOODS: Final[dict[str, Times]] = {
    "a month back": lambda r, n: NOW - MONTH + r.integers(0, HOUR, n),
    "days back": lambda r, n: NOW - r.integers(3 * DAY, 20 * DAY, n),
    "in 1999": lambda r, n: 915_148_800_000 + r.integers(0, 300 * DAY, n),
    "a day ahead": lambda r, n: NOW + 23 * HOUR + r.integers(0, 54 * MINUTE, n),
    "a day ahead, all at once": lambda r, n: np.full(n, NOW + 23 * HOUR + 54 * MINUTE),
    "back and ahead": lambda r, n: np.where(
        r.random(n) < 0.5, NOW - r.integers(3 * DAY, MONTH, n), NOW + 23 * HOUR + r.integers(0, 54 * MINUTE, n)
    ),
}
"""None of these lies in a window of the spree's."""
FAR_APART: Final = ("a day ahead", "back and ahead")

SPREAD: Final[dict[str, Times]] = {
    "hours back": lambda r, n: NOW - r.integers(61 * MINUTE, 20 * HOUR, n),
    "anywhere ahead": lambda r, n: NOW + r.integers(HOUR, 24 * HOUR, n),
    "climbing ahead": lambda r, n: NOW + HOUR + np.sort(r.integers(0, 23 * HOUR, n)),
    "everywhere": lambda r, n: NOW + r.integers(-2 * MONTH, 24 * HOUR, n),
    "around now": lambda r, n: NOW + r.integers(-2 * DAY, DAY, n),
}
"""These lie in the spree's windows, or take up all the room that there is."""


@pytest.mark.parametrize("n", [1, 3, 400])
@pytest.mark.parametrize("amount", [0.01, 75.0, 50_000.0])
@pytest.mark.parametrize("flood", FLOODS)
def test_a_flood_outside_the_windows_changes_no_feature_of_a_spree(flood: str, amount: float, n: int) -> None:
    """Bit for bit, of a spree for which there is room beside what is early; a flood at one moment takes little."""
    random = np.random.default_rng(n)
    honest = np.concatenate([past(random, 1), spree(random)[:7]])
    hostile = payments(FLOODS[flood](random, min(n, 3) if flood in FAR_APART else n), random, 2_000_000)
    hostile["amount"], (hostile["merchant"], hostile["device"]) = amount, random.integers(1, 2**62, (2, len(hostile)))
    log = mixed_with(hostile, honest, random, len(honest) - 7)
    assert features_of(log, honest[-7:]).tobytes() == features_of(honest, honest[-7:]).tobytes()


@pytest.mark.parametrize("n", [20, 400])
@pytest.mark.parametrize("flood", [*FLOODS, *SPREAD])
def test_a_spree_gives_its_alerts_under_every_flood(flood: str, n: int, model: Model) -> None:
    random = np.random.default_rng(n)
    honest = np.concatenate([past(random), spree(random)])
    undisturbed = model.is_anomaly(model.anomaly_score(features_of(honest, honest[-12:])))
    hostile = payments((FLOODS | SPREAD)[flood](random, n), random, 2_000_000)
    log = mixed_with(hostile, honest, random, len(honest) - 12)
    alerts = model.is_anomaly(model.anomaly_score(features_of(log, honest[-12:])))
    assert 7 <= undisturbed.sum() < 12
    assert alerts.sum() >= undisturbed.sum()
    assert alerts[undisturbed].all()


def test_a_spree_gives_seven_alerts_under_floods_at_the_exact_edges_of_its_windows(model: Model) -> None:
    """To the millisecond: just within a window, at its edge, which lies outside, and just beyond it."""
    edges = np.array([0, 10 * MINUTE, HOUR, -HOUR, 6 * HOUR, DAY, -DAY, 49 * HOUR])
    for seed in range(40):
        random = np.random.default_rng(seed)
        honest = np.concatenate([past(random), spree(random)])
        n = int(random.integers(1, 200))
        times = random.choice(honest["time"][-12:], n) - random.choice(edges, n) + random.integers(-1, 2, n)
        hostile = payments(np.minimum(times, NOW + DAY), random, 2_000_000)
        log = mixed_with(hostile, honest, random, len(honest) - 12)
        assert model.is_anomaly(model.anomaly_score(features_of(log, honest[-12:]))).sum() >= 7, seed


def test_a_spree_that_is_back_dated_itself_still_gives_alerts(model: Model) -> None:
    random = np.random.default_rng(3)
    honest, hostile = past(random), spree(random)
    hostile["time"] -= MONTH // 2
    rows = features_of(np.concatenate([honest, hostile]), hostile)
    assert (rows[:, FEATURES.index("count_10m")] >= np.minimum(np.arange(12), 9)).all()
    assert model.is_anomaly(model.anomaly_score(rows)).sum() >= 5


@settings(deadline=None, max_examples=200)
@given(st.data())
def test_what_is_early_changes_nothing_before_its_time(data: st.DataObject) -> None:
    """As long as there is room for all that is open: each honest event is as if what is dated after it did not exist."""
    random = np.random.default_rng(data.draw(st.integers(0, 10**6)))
    n = data.draw(st.integers(1, 12))
    honest = payments(NOW + np.cumsum(random.choice([MINUTE, 7 * HOUR, 5 * DAY], n)), random)
    hostile = []
    places = sorted(data.draw(st.lists(st.integers(0, n - 1), max_size=OPEN - n)))
    for k, place in enumerate(places):
        hostile.append(payments(honest["time"][[place]] + data.draw(st.integers(1, 24 * HOUR)), random, 1000 + k))
    log = np.insert(honest, places, np.concatenate(hostile)) if hostile else honest
    for event in honest:
        until = log[log["time"] <= event["time"]]
        assert features_of(log, event[None]).tobytes() == features_of(until, event[None]).tobytes()


@settings(deadline=None, max_examples=150)
@given(st.integers(0, 10**6), st.sampled_from(["everywhere", "around now", "anywhere ahead", "hours back"]))
def test_whatever_the_flood_a_window_misses_no_payment(seed: int, flood: str) -> None:
    random = np.random.default_rng(seed)
    honest = np.concatenate([past(random)[-30:], spree(random, 25)])
    hostile = payments(SPREAD[flood](random, int(random.integers(1, 300))), random, 2_000_000)
    log = mixed_with(hostile, honest, random, 30)
    unlimited = Customer(room=10**9)
    exact = np.array([unlimited.add({name: event[name].item() for name in EVENT.names})[0] for event in log])
    present = np.isin(log["transaction"], honest["transaction"])
    found = fold(np.zeros(1, CUSTOMER), np.zeros(len(log), np.int64), log).features
    assert (found[present][:, WINDOWS] >= exact[present][:, WINDOWS] * (1 - 1e-6)).all()


def test_one_payment_a_day_ahead_leaves_an_ordinary_day_as_it_was() -> None:
    random = np.random.default_rng(8)
    honest = np.concatenate([past(random), payments(NOW + np.arange(0, 24 * HOUR, 2 * HOUR), random, 1_000_000)])
    early = payments(np.array([NOW + 24 * HOUR - 6 * MINUTE]), random, 2_000_000)
    early["amount"], early["merchant"], early["device"], early["latitude"] = 9_000, 10**15, 10**15 + 1, -33.0
    log = np.insert(honest, [len(honest) - 12], early)
    day = honest[-12:]
    assert features_of(log, day).tobytes() == features_of(honest, day).tobytes()
    late = fold(np.zeros(1, CUSTOMER), np.zeros(len(log), np.int64), log).late
    assert not late[:-3].any(), "hours before the early one nothing is late"


def test_a_back_dated_payment_is_late_and_one_after_an_early_one_is_not() -> None:
    random = np.random.default_rng(8)
    minutes = np.array([0, 23 * 60, 1, 2, -90, 3, -60 * 24 * 30])
    events = payments(NOW + MINUTE * minutes, random)
    late = fold(np.zeros(1, CUSTOMER), np.zeros(len(events), np.int64), events).late
    assert late.tolist() == [False, False, False, False, True, False, True]


def test_after_hundreds_of_devices_merchants_and_countries_the_next_new_one_is_new() -> None:
    random = np.random.default_rng(5)
    events = payments(NOW + HOUR * np.arange(1_200), random)
    for name in ("merchant", "category", "country", "device"):
        events[name] = random.integers(1, 2**62, len(events))
    rows = fold(np.zeros(1, CUSTOMER), np.zeros(len(events), np.int64), events).features
    shares = {
        name: rows[300:, FEATURES.index(f"new_{name}")].mean() for name in ("merchant", "category", "country", "device")
    }
    assert shares["device"] > 0.99
    assert min(shares["merchant"], shares["country"]) > 0.5
    assert shares["category"] > 0.15


def test_what_a_customer_uses_all_the_time_stays_known_whatever_else_comes() -> None:
    random = np.random.default_rng(6)
    events = payments(NOW + HOUR * np.arange(1_200), random)
    for name in ("merchant", "country", "device"):
        events[name] = np.where(np.arange(1_200) % 3 == 0, 77, random.integers(1, 2**62, len(events)))
    rows = fold(np.zeros(1, CUSTOMER), np.zeros(len(events), np.int64), events).features
    for name in ("merchant", "country", "device"):
        assert rows[3::3, FEATURES.index(f"new_{name}")].sum() == 0
