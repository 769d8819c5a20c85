"""The shape of each fraud scenario."""

from types import ModuleType

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from generator.arrays import Array
from generator.categories import MEDIANS
from generator.drafts import ATM, CHIP, DRAFT, HOUR_MS, ONLINE, TRANSFER
from generator.places import PER_EURO, distance_km
from generator.population import make_population
from generator.scenarios import SCENARIOS, account_takeover, card_testing, impossible_travel
from generator.scenarios.account_takeover import ACCOUNT_TAKEOVER
from generator.scenarios.card_testing import CARD_TESTING
from generator.scenarios.impossible_travel import IMPOSSIBLE_TRAVEL
from generator.scenarios.scenario import LONGEST_CAMPAIGN_HOURS, MINUTE_MS, Scenario

POPULATION = make_population(seed=5, customers=300)
START = 1_777_000_000_000


def campaign(scenario: Scenario, seed: int) -> Array:
    """One campaign against one customer, in order of time."""
    rng = np.random.default_rng(seed)
    made = scenario.play(rng, POPULATION, rng.integers(0, 300, 1), np.array([START]))
    return made[np.argsort(made["time"])]


def campaigns(scenario: Scenario, n: int = 400) -> list[Array]:
    return [campaign(scenario, seed) for seed in range(n)]


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
@given(seed=st.integers(0, 2**32), victims=st.lists(st.integers(0, 299), max_size=6))
@settings(max_examples=40, deadline=None)
def test_a_campaign_is_transactions_of_its_victims_within_its_time(
    scenario: Scenario, seed: int, victims: list[int]
) -> None:
    start = START + np.arange(len(victims), dtype=np.int64) * HOUR_MS
    made = scenario.play(np.random.default_rng(seed), POPULATION, np.array(victims, np.int64), start)
    assert made.dtype == DRAFT
    assert set(made["customer"]) == set(victims)
    assert np.isfinite(made["amount"]).all()
    assert (made["amount"] >= 0).all()
    assert ((made["merchant"] >= 0) & (made["merchant"] < len(POPULATION.merchants.table))).all()
    if victims:
        assert (made["time"] >= START).all()
        assert (made["time"] < start[-1] + LONGEST_CAMPAIGN_HOURS * HOUR_MS).all()


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_a_campaign_has_the_promised_size_on_average(scenario: Scenario) -> None:
    sizes = [len(made) for made in campaigns(scenario)]
    assert abs(np.mean(sizes) / scenario.size - 1) < 0.06


def test_the_shares_of_the_scenarios_make_a_whole() -> None:
    assert sum(scenario.share for scenario in SCENARIOS) == pytest.approx(1)


@given(seed=st.integers(0, 2**32))
@settings(max_examples=60, deadline=None)
def test_card_testing_is_many_tiny_online_payments_within_minutes(seed: int) -> None:
    made = campaign(CARD_TESTING, seed)
    rate = PER_EURO[POPULATION.customers.table["country"][made["customer"][0]]]
    assert (made["channel"] == ONLINE).all()
    assert np.median(made["amount"]) <= 6 * rate
    tests = made[made["amount"] <= 60 * rate]
    assert 8 <= len(tests) <= 43
    assert np.median(np.diff(made["time"])) < 2 * MINUTE_MS


def test_every_second_card_testing_ends_with_large_purchases() -> None:
    largest = np.array([made["amount"].max() for made in campaigns(CARD_TESTING)])
    assert 0.35 < (largest > 100).mean() < 0.6


def test_a_takeover_empties_the_account_within_an_hour() -> None:
    all_of_them = campaigns(ACCOUNT_TAKEOVER)
    for made in all_of_them:
        assert 4 <= len(made) <= 12
        assert set(made["channel"]) <= {ONLINE, TRANSFER}
        assert made["time"][-1] - made["time"][0] < HOUR_MS
        assert len(set(made["device"])) == 1
    together = np.concatenate(all_of_them)
    spending = POPULATION.customers.table["spending"][together["customer"]]
    usual = MEDIANS[POPULATION.merchants.table["category"][together["merchant"]]] * spending
    assert np.median(together["amount"] / usual) > 3
    assert (together["amount"] < 1.5 * usual).mean() > 0.1  # some look as usual


def test_a_cloned_card_is_mostly_used_where_no_traveller_could_be() -> None:
    all_of_them = campaigns(IMPOSSIBLE_TRAVEL)
    speeds = []
    for made in all_of_them:
        assert 2 <= len(made) <= 7
        assert (made["device"] == 0).all()
        assert set(made["channel"]) <= {CHIP, ATM}
        home = POPULATION.places[POPULATION.customers.table["home"][made["customer"][0]]]
        there = POPULATION.places[POPULATION.merchants.table["place"][made["merchant"][0]]]
        assert there["country"] != home["country"]
        km = distance_km(home["latitude"], home["longitude"], there["latitude"], there["longitude"])
        speeds.append(km / ((made["time"][0] - START) / HOUR_MS))
    assert 0.6 < (np.array(speeds) > 950).mean() < 0.97  # some could have flown


@pytest.mark.parametrize("module", [account_takeover, card_testing, impossible_travel])
def test_a_scenario_says_what_it_is_and_where_it_is_from(module: ModuleType) -> None:
    for part in ("What the fraudster does:", "What it looks like in the data:", "Source:"):
        assert part in (module.__doc__ or "")
