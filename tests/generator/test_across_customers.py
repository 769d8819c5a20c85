"""The kinds of fraud whose victims share a merchant or a category, and nothing else."""

import itertools
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from generator.arrays import Array
from generator.categories import CASH, CATEGORIES
from generator.customers import FAVOURITES
from generator.devices import device_of
from generator.drafts import ATM, CHIP, CONTACTLESS, HOUR_MS, ONLINE
from generator.merchants import NEWCOMERS
from generator.places import WEB
from generator.population import make_population
from generator.scenarios import SCENARIOS
from generator.scenarios.category_shift import CATEGORY_SHIFT, LASTS_DAYS, WANTED, preferred
from generator.scenarios.rogue_shop import ROGUE_SHOP
from generator.scenarios.scenario import Scenario, Style
from generator.scenarios.terminal_takeover import TERMINAL_TAKEOVER
from generator.scenarios.web_skimmer import WEB_SKIMMER
from generator.stream import transactions
from ml.evaluation.judgement import ACROSS_CUSTOMERS

BANK = make_population(seed=5, customers=3_000)
START = 1_777_000_000_000
DAY_MS = 24 * HOUR_MS
AT_A_MERCHANT = (TERMINAL_TAKEOVER, WEB_SKIMMER, ROGUE_SHOP)
HABITS = ("activity", "online", "curiosity", "travels", "spending")
BEFORE = {
    "card_testing": 0.18,
    "account_takeover": 0.15,
    "impossible_travel": 0.08,
    "compromised_merchant": 0.14,
    "bust_out": 0.10,
    "merchant_collusion": 0.08,
    "synthetic_identity": 0.07,
    "mule_transfers": 0.10,
    "friendly_fraud": 0.10,
}


def campaigns(scenario: Scenario, n: int = 40, style: Style = Style()) -> list[Array]:  # noqa: B008 – it is frozen
    """So many campaigns, each in order of time."""
    made = []
    for seed in range(n):
        rng = np.random.default_rng(seed)
        one = scenario.play(rng, BANK, rng.integers(0, BANK.honest, 1), np.array([START]), style)
        made.append(one[np.argsort(one["time"], kind="stable")])
    return made


def own_devices(made: Array) -> Array:
    return made["device"] == device_of(BANK, made["customer"], made["time"], np.zeros(len(made), bool))


def of_home_city(made: Array) -> Array:
    return BANK.customers.table["home"][made["customer"]] == BANK.merchants.table["place"][made["merchant"]]


def test_they_are_at_most_15_of_100_frauds_and_the_others_keep_their_shares_among_themselves() -> None:
    across = sum(scenario.share for scenario in SCENARIOS if scenario.across)
    assert 0.1 < across <= 0.15
    others = {scenario.name: scenario.share / (1 - across) for scenario in SCENARIOS if not scenario.across}
    assert others == pytest.approx(BEFORE)


def test_the_evaluation_knows_which_kinds_they_are() -> None:
    assert {scenario.name for scenario in SCENARIOS if scenario.across} == ACROSS_CUSTOMERS


def test_a_quarter_of_a_year_has_no_more_of_them_and_no_more_fraud_than_was_asked_for() -> None:
    bank, start = make_population(seed=6, customers=2_000), datetime(2026, 2, 2, tzinfo=UTC)
    batches = list(itertools.islice(transactions(bank, start), 91 * 24))
    made, fraud = sum(len(batch.transactions) for batch in batches), sum(len(batch.truth) for batch in batches)
    across = sum(batch.truth["scenario"].to_pylist().count(name) for batch in batches for name in ACROSS_CUSTOMERS)
    assert abs(fraud / made - 0.006) < 0.0005
    assert abs(across / fraud - 0.13) < 0.015


@pytest.mark.parametrize("scenario", AT_A_MERCHANT, ids=lambda scenario: scenario.name)
def test_a_merchant_is_bad_for_weeks_and_has_many_victims(scenario: Scenario) -> None:
    for made in campaigns(scenario):
        assert 18 * DAY_MS < made["time"][-1] - made["time"][0] < 41 * DAY_MS
        assert np.diff(made["time"]).max() < 15 * DAY_MS
        assert len(set(made["merchant"])) <= 4
        assert 30 <= len(made) <= 50
    assert np.mean([len(set(made["customer"])) for made in campaigns(scenario)]) > 12


@pytest.mark.parametrize("scenario", AT_A_MERCHANT, ids=lambda scenario: scenario.name)
def test_careful_ones_spread_it_over_many_merchants(scenario: Scenario) -> None:
    many = [len(set(made["merchant"])) for made in campaigns(scenario, style=Style("high"))]
    assert np.mean(many) > 3


def test_a_bad_terminal_charges_those_who_pay_there_in_its_own_way() -> None:
    made = np.concatenate(campaigns(TERMINAL_TAKEOVER))
    cash = BANK.merchants.table["category"][made["merchant"]] == CASH
    assert 0 < cash.mean() < 0.3
    assert ((made["channel"] == ATM) == cash).all()
    assert set(made["channel"]) == {ATM, CHIP, CONTACTLESS}
    assert ((made["device"] != 0) == (made["channel"] == CONTACTLESS)).all()
    assert own_devices(made)[made["device"] != 0].all()
    assert of_home_city(made).all()
    favourite = (BANK.customers.favourites[made["customer"]] == made["merchant"][:, None]).any(axis=1)
    assert 0.4 < favourite.mean() < 0.7
    local = (made["time"] // HOUR_MS + BANK.utc_offsets[BANK.merchants.table["place"][made["merchant"]]]) % 24
    assert BANK.merchants.open(made["merchant"], local).mean() > 0.98


def test_the_victims_of_a_web_skimmer_share_a_shop_where_nothing_happens() -> None:
    for made in campaigns(WEB_SKIMMER):
        assert (made["channel"] == ONLINE).all()
        favourites = BANK.customers.favourites[np.unique(made["customer"]), FAVOURITES[WEB]]
        shared = set(favourites[0]).intersection(*favourites)
        assert shared
        assert len(set(made["merchant"]) & shared) < 2
    own = own_devices(np.concatenate(campaigns(WEB_SKIMMER)))
    assert 0.3 < own.mean() < 0.7


def test_a_rogue_shop_opened_lately_and_charges_people_of_its_country() -> None:
    for made in campaigns(ROGUE_SHOP):
        shops = np.unique(made["merchant"])
        assert (shops >= len(BANK.merchants.table) - NEWCOMERS).all()
        assert 2 <= len(shops) <= 4
        assert own_devices(made)[made["device"] != 0].all()
    many = [len(set(made["customer"])) / len(made) for made in campaigns(ROGUE_SHOP)]
    together = np.concatenate(campaigns(ROGUE_SHOP))
    own = BANK.places["country"][BANK.merchants.table["place"][together["merchant"]]]
    # A small country has few new shops, and so some of its victims pay at those of others.
    assert (own == BANK.customers.table["country"][together["customer"]]).mean() > 0.6
    assert np.mean(many) > 0.8


def test_thieves_turn_from_one_category_to_another_within_weeks() -> None:
    days = np.arange(0, 20 * LASTS_DAYS)
    category = preferred(BANK, days * DAY_MS)
    lasts = np.diff(np.flatnonzero(np.diff(category) != 0))
    assert lasts.min() == LASTS_DAYS
    assert set(category) == set(WANTED)
    rng, n = np.random.default_rng(1), 400
    shares = []
    for day in (LASTS_DAYS // 2, LASTS_DAYS, LASTS_DAYS + LASTS_DAYS // 2):
        start = np.full(n, START // (LASTS_DAYS * DAY_MS) * LASTS_DAYS * DAY_MS + day * DAY_MS)
        made = CATEGORY_SHIFT.play(rng, BANK, rng.integers(0, BANK.honest, n), start, Style())
        paid = BANK.merchants.table["category"][made["merchant"]]
        shares.append(np.bincount(paid, minlength=len(CATEGORIES)) / len(made))
    assert shares[0].max() == shares[2].max() == 1
    assert shares[0].argmax() != shares[2].argmax()
    assert 0.4 < shares[1].max() < 0.6  # the change takes two weeks


def neighbours_of(customers: Array) -> Array:
    """For each customer another one of the same city."""
    rng, home = np.random.default_rng(3), BANK.customers.table["home"][: BANK.honest]
    order = np.argsort(home, kind="stable")
    first, after = (np.searchsorted(home[order], home[customers], side) for side in ("left", "right"))
    return order[first + ((after - first) * rng.random(len(customers))).astype(np.int64)]


def favourites_in_common(groups: list[Array], but: list[set[int]]) -> float:
    """How many favourites two different customers of a group share on average, besides some merchants."""
    goes_to = [set(row) for row in BANK.customers.favourites.tolist()]
    return np.mean(
        [
            len((goes_to[a] & goes_to[b]) - others)
            for group, others in zip(groups, but, strict=True)
            for a, b in itertools.pairwise(np.unique(group))
        ]
    )


@pytest.mark.parametrize(
    "scenario", [scenario for scenario in SCENARIOS if scenario.across], ids=lambda scenario: scenario.name
)
def test_their_victims_share_nothing_else(scenario: Scenario) -> None:
    all_of_them = campaigns(scenario, 80)
    made = np.concatenate(all_of_them)
    if scenario is CATEGORY_SHIFT:
        all_of_them = [made]
    victims, control = made["customer"], neighbours_of(made["customer"])
    for habit in HABITS:
        one, other = (np.log(BANK.customers.table[habit][group] + 0.01) for group in (victims, control))
        assert abs(one.mean() - other.mean()) < 0.25 * other.std(), habit
    named = made[made["device"] != 0]
    pairs = np.unique(np.stack([named["device"], named["customer"].astype(np.uint64)]), axis=1)
    assert len(np.unique(pairs[0])) == pairs.shape[1]  # no two of them share a device
    groups = [one["customer"] for one in all_of_them]
    goes_to = [[set(row) for row in BANK.customers.favourites[np.unique(group)].tolist()] for group in groups]
    but = [
        set(one["merchant"].tolist()) | set.intersection(*each) for one, each in zip(all_of_them, goes_to, strict=True)
    ]
    shared = favourites_in_common(groups, but)
    usual = favourites_in_common([neighbours_of(np.unique(group)) for group in groups], but)
    assert shared < 1.2 * usual + 0.02


@given(seed=st.integers(0, 2**32), hours=st.integers(0, 20_000))
@settings(max_examples=25, deadline=None)
def test_a_campaign_depends_on_its_seed_and_start_alone(seed: int, hours: int) -> None:
    start = np.array([START + hours * HOUR_MS])
    for scenario in SCENARIOS:
        if scenario.across:
            one, same = (
                scenario.play(np.random.default_rng(seed), BANK, np.array([7]), start, Style()) for _ in range(2)
            )
            assert one.tobytes() == same.tobytes()
