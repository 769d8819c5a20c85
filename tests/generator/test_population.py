"""The simulated bank: places, merchants, customers."""

import numpy as np

from generator.categories import CASH, CATEGORIES
from generator.customers import FAVOURITES, WORK_FAVOURITES
from generator.places import CITY, WEB, distance_km
from generator.population import Population, make_population


def test_one_seed_makes_one_bank() -> None:
    one, same, other = make_population(3, 200), make_population(3, 200), make_population(4, 200)
    assert one.customers.table.tobytes() == same.customers.table.tobytes()
    assert one.customers.favourites.tobytes() == same.customers.favourites.tobytes()
    assert one.people == same.people
    assert one.customers.table.tobytes() != other.customers.table.tobytes()


def test_merchants_do_not_depend_on_the_number_of_customers() -> None:
    few, many = make_population(3, 10), make_population(3, 1_000)
    assert few.merchants.table.tobytes() == many.merchants.table.tobytes()


def test_every_place_has_a_merchant_of_every_category_of_its_kind(population: Population) -> None:
    kinds = np.array([category.kind for category in CATEGORIES])
    wanted = population.places["kind"][:, None] == kinds
    assert (population.merchants.count[wanted] > 0).all()
    assert (population.merchants.count[~wanted] == 0).all()


def test_merchants_are_near_the_middle_of_their_city(population: Population) -> None:
    shops = population.merchants.table
    places = population.places[shops["place"]]
    km = distance_km(shops["latitude"], shops["longitude"], places["latitude"], places["longitude"])
    assert np.nanmax(km) < 40
    assert np.isnan(km[places["kind"] != CITY]).all()
    assert 0.01 < np.isnan(km[places["kind"] == CITY]).mean() < 0.06  # old terminals


def test_customers_make_three_transactions_a_day_on_average(population: Population) -> None:
    activity = population.customers.table["activity"][: population.honest]
    assert abs(activity.mean() - 3) < 0.15
    assert activity.std() > 1.5


def test_favourites_are_of_their_kind_and_those_in_a_city_are_at_home(population: Population) -> None:
    places = population.places
    for kind, columns in FAVOURITES.items():
        at = population.merchants.table["place"][population.customers.favourites[:, columns]]
        assert (places["kind"][at] == kind).all()
        if kind == CITY:
            assert (at == population.customers.table["home"][:, None]).all()
        if kind == WEB:
            own = places["country"][at] == population.customers.table["country"][:, None]
            assert 0.6 < own.mean() < 0.95
    machines = population.customers.favourites[:, FAVOURITES[CITY].stop - 1]
    assert (population.merchants.table["category"][machines] == CASH).all()


def test_people_and_firms_have_names(population: Population) -> None:
    assert len({population.customer_name(customer) for customer in range(100)}) > 50
    assert len({population.merchant_name(merchant) for merchant in range(100)}) > 10


def test_those_who_work_shop_near_their_work(population: Population) -> None:
    at = population.merchants.table["place"][population.customers.favourites[:, WORK_FAVOURITES]]
    assert (at == population.customers.table["work"][:, None]).all()


def test_new_customers_come_in_the_places_of_those_who_leave(population: Population) -> None:
    today, in_a_year = (set(population.customer_ids(day).to_pylist()) for day in (20_500, 20_865))
    assert len(today) == len(in_a_year) == len(population.customers.table)
    left = len([one for one in today - in_a_year if int(one[1:8]) < population.honest]) / population.honest
    assert 0.1 < left < 0.4
