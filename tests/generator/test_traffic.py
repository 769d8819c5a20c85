"""Honest traffic: how much, when, where, with which device."""

import numpy as np

from generator.arrays import Array
from generator.categories import CATEGORIES, numbers
from generator.drafts import ATM, CHIP, CONTACTLESS, HONEST, HOUR_MS, ONLINE, TRANSFER
from generator.places import BANK, CITY, WEB, distance_km
from generator.population import Population
from generator.stream import milliseconds
from generator.traffic import honest_traffic
from tests.generator.conftest import MONDAY

FASTEST_KMH = 950.0  # of an aeroplane
NOISE_KM = 60.0  # across a city and back


def kinds(population: Population, made: Array) -> Array:
    return np.array([c.kind for c in CATEGORIES])[population.merchants.table["category"][made["merchant"]]]


def test_the_rate_is_three_transactions_a_customer_and_day(honest_week: Array) -> None:
    assert abs(len(honest_week) / 3_000 / 7 - 3) < 0.2


def test_each_customer_keeps_to_its_own_rate(population: Population, honest_week: Array) -> None:
    made = np.bincount(honest_week["customer"], minlength=3_000)
    assert np.corrcoef(made, population.customers.table["activity"][:3_000])[0, 1] > 0.85


def test_days_and_weeks_have_their_rhythm(honest_week: Array) -> None:
    hours = (honest_week["time"] - milliseconds(MONDAY)) // HOUR_MS
    by_hour = np.bincount(hours % 24, minlength=24)
    assert by_hour[15:19].mean() > 8 * by_hour[1:4].mean()
    by_day = np.bincount(hours // 24, minlength=7)[:7]
    assert by_day.argmax() == 5
    assert by_day.argmin() == 6


def test_night_shift_workers_pay_at_night(population: Population, honest_week: Array) -> None:
    rhythm = population.customers.table["rhythm"][honest_week["customer"]]
    at_night = (honest_week["time"] // HOUR_MS) % 24 < 4
    assert at_night[rhythm == 4].mean() > 5 * at_night[rhythm == 0].mean()


def test_an_hour_is_the_same_whatever_was_made_before_it(population: Population) -> None:
    hour = milliseconds(MONDAY) // HOUR_MS + 12
    fresh, used = honest_traffic(population), honest_traffic(population)
    for other in (hour + 5_000, hour - 1, hour - 900):
        used(other)
    assert fresh(hour).tobytes() == used(hour).tobytes()


def test_no_honest_card_is_in_two_places_at_once(population: Population, honest_week: Array) -> None:
    shops = population.merchants.table[honest_week["merchant"]]
    placed = honest_week[~np.isnan(shops["latitude"])]
    placed = placed[np.lexsort((placed["time"], placed["customer"]))]
    shops = population.merchants.table[placed["merchant"]]
    km = distance_km(shops["latitude"][:-1], shops["longitude"][:-1], shops["latitude"][1:], shops["longitude"][1:])
    same = placed["customer"][1:] == placed["customer"][:-1]
    hours = (placed["time"][1:] - placed["time"][:-1]) / HOUR_MS
    assert (km[same] > 300).sum() > 20  # people do travel
    assert (km[same] - NOISE_KM <= FASTEST_KMH * hours[same]).all()


def test_shops_are_closed_at_night(population: Population, honest_week: Array) -> None:
    category = population.merchants.table["category"][honest_week["merchant"]]
    place = population.merchants.table["place"][honest_week["merchant"]]
    local = (honest_week["time"] // HOUR_MS + population.utc_offsets[place]) % 24
    closed = np.isin(category, numbers("groceries", "clothing", "pharmacy")) & (local < 5)
    assert closed.sum() == 0


def test_channels_follow_from_where_one_pays(population: Population, honest_week: Array) -> None:
    kind, channel = kinds(population, honest_week), honest_week["channel"]
    assert set(channel[kind == WEB]) == {ONLINE}
    assert set(channel[kind == BANK]) == {TRANSFER}
    assert set(channel[kind == CITY]) == {CHIP, CONTACTLESS, ATM}


def test_devices_are_named_online_and_by_phones_alone(population: Population, honest_week: Array) -> None:
    named, channel = honest_week["device"] != 0, honest_week["channel"]
    assert not named[np.isin(channel, (CHIP, ATM))].any()
    assert 0.95 < named[np.isin(channel, (ONLINE, TRANSFER))].mean() < 1
    by_phone = population.customers.table["pays_by_phone"][honest_week["customer"]]
    assert (named == by_phone)[channel == CONTACTLESS].all()


def test_a_device_belongs_to_one_customer_who_has_few(honest_week: Array) -> None:
    named = honest_week[honest_week["device"] != 0]
    pairs = np.unique(np.stack([named["device"], named["customer"].astype(np.uint64)]), axis=1)
    assert len(np.unique(pairs[0])) == pairs.shape[1]
    many = np.bincount(pairs[1].astype(np.int64)) > 3  # two and a new one; the others are borrowed
    assert 0 < many.mean() < 0.02


def test_honest_people_do_odd_things_now_and_then(population: Population, honest_week: Array) -> None:
    amount = honest_week["amount"]
    assert 0 < (amount == 0).mean() < 0.01
    assert 0 < (amount > 20 * np.median(amount)).mean() < 0.03
    place = population.places[population.merchants.table["place"][honest_week["merchant"]]]
    abroad = place["country"] != population.customers.table["country"][honest_week["customer"]]
    assert 0.002 < abroad[place["kind"] == CITY].mean() < 0.05
    favourites = population.customers.favourites[honest_week["customer"]]
    unfamiliar = ~(favourites == honest_week["merchant"][:, None]).any(axis=1)
    assert 0.05 < unfamiliar.mean() < 0.25


def test_all_of_it_is_honest(honest_week: Array) -> None:
    assert (honest_week["scenario"] == HONEST).all()
