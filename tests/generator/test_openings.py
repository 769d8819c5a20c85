"""Web shops that open: a burst of new customers, nearly all of them honest."""

import numpy as np

from generator.arrays import Array
from generator.drafts import HOUR_MS
from generator.merchants import NEWCOMERS
from generator.openings import FRESH_DAYS, at_newcomers, fresh_shops, latest_shops
from generator.places import WEB
from generator.population import Population, make_population
from generator.stream import milliseconds
from generator.traffic import honest_traffic
from tests.generator.conftest import MONDAY

HOUR = milliseconds(MONDAY) // HOUR_MS


def newcomers(population: Population, merchant: Array) -> Array:
    return merchant >= len(population.merchants.table) - NEWCOMERS


def test_a_new_shop_draws_a_burst_and_then_few() -> None:
    bank = make_population(seed=8, customers=4_000)
    traffic = honest_traffic(bank)
    hours = range(HOUR, HOUR + 40 * 24)
    made = np.concatenate([traffic(hour) for hour in hours])
    opened = [shop for shop in fresh_shops(bank, HOUR + 20 * 24)[0] if shop not in fresh_shops(bank, HOUR)[0]]
    assert len(opened) >= 8
    visits = made[np.isin(made["merchant"], opened)]
    first = {shop: visits["time"][visits["merchant"] == shop].min() for shop in np.unique(visits["merchant"])}
    days = np.array([(visit["time"] - first[visit["merchant"]]) // (24 * HOUR_MS) for visit in visits])
    assert (days < 7).sum() > 2 * ((days >= 13) & (days < 20)).sum()
    once = np.unique(np.stack([visits["merchant"], visits["customer"]]), axis=1).shape[1]
    assert once > 0.6 * len(visits)  # some buy several times within minutes


def test_a_few_of_a_hundred_purchases_are_at_new_shops(population: Population, honest_week: Array) -> None:
    new = newcomers(population, honest_week["merchant"])
    assert 0.001 < new.mean() < 0.02
    places = population.places[population.merchants.table["place"][honest_week["merchant"]]]
    assert (places["kind"][new] == WEB).all()


def test_a_shop_is_new_for_two_months(population: Population) -> None:
    now, later = (set(fresh_shops(population, HOUR + 24 * day)[0]) for day in (0, FRESH_DAYS + 3))
    assert now
    assert not now & later


def test_where_nobody_may_change_or_no_shop_is_new_all_stays_as_it_was() -> None:
    tiny = make_population(seed=8, customers=5)
    shops = np.arange(100)
    assert not len(fresh_shops(tiny, HOUR)[0])
    assert (at_newcomers(tiny, HOUR, shops, np.ones(100, bool)) == shops).all()
    bank = make_population(seed=8, customers=4_000)
    assert (at_newcomers(bank, HOUR, shops, np.zeros(100, bool)) == shops).all()


def test_the_latest_shops_of_a_country_come_first(population: Population) -> None:
    time = np.full(3, milliseconds(MONDAY))
    country = np.array([0, 1, 2])
    shops = latest_shops(population, time, country, 3)
    assert shops.shape == (3, 3)
    assert newcomers(population, shops).all()
    own = population.places["country"][population.merchants.table["place"][shops[:, 0]]]
    assert (own == country).all()
