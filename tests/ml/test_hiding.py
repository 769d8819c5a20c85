"""Other payments of the same sender hide nothing: no journey, no small payments, no device or country that is new."""

from typing import Final

import numpy as np
import pytest

from ml.features import CUSTOMER, DAY, EVENT, FEATURES, HISTORY, HOUR, MINUTE, SECOND, fold

NOW: Final = 1_790_000_000_000
PARIS, TOKYO = (48.8, 2.3), (35.6, 139.7)


def payments(times: np.ndarray, first: int, **fields: object) -> np.ndarray:
    """(n,) EVENT: payments of 40 at home, without a place, but for the fields that are given."""
    events = np.zeros(len(times), EVENT)
    events["time"], events["transaction"] = times, np.arange(first, first + len(times))
    everyday = {"amount": 40, "latitude": np.nan, "longitude": np.nan, "merchant": 1, "category": 1, "country": 7}
    for name, value in (everyday | {"channel": 1, "position": HISTORY} | fields).items():
        events[name] = value
    return events


def past(last: int = NOW - 10 * MINUTE) -> np.ndarray:
    """Twenty days of payments in Paris, the last of them then."""
    return payments(last - 12 * HOUR * np.arange(39, -1, -1), 1, latitude=PARIS[0], longitude=PARIS[1], device=5)


def seen(log: np.ndarray, wanted: np.ndarray, *names: str) -> np.ndarray:
    """Of the wanted events of a log these features: (m, len(names))."""
    rows = fold(np.zeros(1, CUSTOMER), np.zeros(len(log), np.int64), log).features
    return rows[np.isin(log["transaction"], wanted["transaction"])][:, [FEATURES.index(name) for name in names]]


@pytest.mark.parametrize("n", [1, 16, 40, 400])
def test_payments_without_a_place_do_not_hide_a_journey(n: int) -> None:
    far = payments(np.array([NOW]), 10**6, latitude=TOKYO[0], longitude=TOKYO[1], country=9)
    between = payments(NOW - 10 * MINUTE + SECOND * np.arange(1, n + 1), 10**7)
    alone = seen(np.concatenate([past(), far]), far, "distance_km", "speed_kmh")
    assert alone[0, 1] == 2000
    assert (seen(np.concatenate([past(), between, far]), far, "distance_km", "speed_kmh") >= alone).all()


@pytest.mark.parametrize("amount", [12.0, 30.0, 40.0, 400.0])
@pytest.mark.parametrize("beside", [1, 3])
def test_ordinary_payments_do_not_hide_small_ones_among_them(beside: int, amount: float) -> None:
    times = NOW + 25 * SECOND * np.arange(14)
    small = payments(times, 10**6, amount=1, channel=4)
    others = payments(np.repeat(times, beside) - 1, 10**7, amount=amount)
    log = np.insert(small, np.repeat(np.arange(14), beside), others)
    assert (seen(np.concatenate([past(), log]), small, "small_count_1h")[:, 0] >= np.arange(14)).all()


@pytest.mark.parametrize("hours_back", [2, 20, 30, 40, 48])
@pytest.mark.parametrize("early", [False, True])
def test_a_payment_that_is_dated_back_makes_nothing_known_for_longer_than_since_it_came(
    hours_back: int, early: bool
) -> None:
    """As far as the fold can tell when it came: after the payment ten minutes ago."""
    spree = payments(NOW + MINUTE * np.arange(3), 10**6, device=99, country=9, merchant=123)
    back = payments(np.array([NOW - hours_back * HOUR]), 10**7, device=99, country=9, merchant=123)
    ahead = payments(np.array([NOW + DAY - HOUR])[: int(early)], 10**8)
    log = np.concatenate([past(), back, ahead, spree])
    age, countries, merchants = seen(
        log, spree, "log_device_age_seconds", "first_countries_24h", "first_merchants_24h"
    ).T
    assert (np.expm1(age) <= 13 * 60).all()
    if not (early and hours_back > 25):  # by then it is settled, and windows are of the open past
        assert (countries >= 1).all()
        assert (merchants >= 1).all()


def test_a_device_is_as_old_as_before_where_payments_come_in_order() -> None:
    used = payments(NOW + HOUR * np.arange(10), 10**6, device=99)
    age = seen(np.concatenate([past(), used]), used, "log_device_age_seconds")[:, 0]
    np.testing.assert_allclose(np.expm1(age), 3600 * np.arange(10))


@pytest.mark.parametrize("n", [1, 5, 40])
def test_payments_by_other_devices_do_not_make_a_new_device_older(n: int) -> None:
    """Neither where they are joined with its first payment, nor once all are settled."""
    spree = payments(NOW + MINUTE * np.arange(12), 10**6, device=99)
    others = payments(np.repeat(spree["time"], n) + np.tile(np.arange(1, n + 1), 12), 10**7, device=5)
    far_apart = payments(NOW - 3 * HOUR * np.arange(14, 0, -1), 10**8, device=5)
    after = payments(NOW + 3 * DAY + HOUR * np.arange(2), 10**9, device=99)
    log = np.concatenate(
        [past(NOW - 2 * DAY), far_apart, np.insert(spree, np.repeat(np.arange(1, 13), n), others), after]
    )
    age = np.expm1(seen(log, np.concatenate([spree, after]), "log_device_age_seconds")[:, 0])
    assert (age[:12] <= 60 * np.arange(12) + 1e-6).all()
    assert (age[12:] <= 3 * 86_400 + 3_600 * np.arange(2) + 1e-6).all()


@pytest.mark.parametrize("beside", [1, 3])
def test_payments_by_other_channels_do_not_hide_those_of_one(beside: int) -> None:
    spree = payments(NOW + 25 * SECOND * np.arange(14), 10**6, channel=4)
    others = payments(np.repeat(spree["time"], beside) + 1, 10**7, channel=2)
    log = np.insert(spree, np.repeat(np.arange(1, 15), beside), others)
    assert (seen(np.concatenate([past(), log]), spree, "channel_count_24h")[:, 0] >= np.arange(14)).all()
