"""The world of the Fraud Detection Handbook: its rules, and the statistics that the book states."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from msgspec.structs import replace

from generator.arrays import Array
from generator.drafts import HONEST, HOUR_MS
from generator.handbook.stream import handbook_transactions
from generator.handbook.traffic import (
    LARGE_AMOUNT,
    LEAKED_CARD,
    NEVER,
    SCENARIOS,
    TERMINAL_TAKEN_OVER,
    payments,
    victims_on,
)
from generator.handbook.world import DAYS, FIRST_DAY, Handbook, HandbookWorld
from generator.history import Origin, read_origin, write_history
from generator.labels import PERFECT, Reporting
from generator.options import WrongUse
from generator.origins import origin_of_history
from generator.replay.mapping import load_mapping
from generator.replay.rejects import Rejects
from generator.replay.stream import DataSet
from generator.stream import Batch
from generator.tables import LABEL_ARROW
from generator.worlds import batches
from ml.schema import TRANSACTION_ARROW

FIRST = int(np.datetime64(FIRST_DAY).astype(np.int64))
DAY_MS = 86_400_000
SMALL = Handbook(customers=300, terminals=600, side=25.0)
WORLD = HandbookWorld.make(5, SMALL)


@pytest.fixture(scope="module")
def fortnights() -> Array:
    """Forty days of the small world."""
    return np.concatenate([payments(WORLD, day) for day in range(FIRST, FIRST + 40)])


@pytest.fixture(scope="module")
def half_year() -> Array:
    """All the book's days, with the book's parameters."""
    world = HandbookWorld.make(101, Handbook())
    return np.concatenate([payments(world, day) for day in range(FIRST, FIRST + DAYS)])


def test_the_statistics_are_those_that_the_book_states(half_year: Array) -> None:
    fraud = half_year["scenario"] != HONEST
    day = half_year["time"] // DAY_MS
    assert len(half_year) == pytest.approx(1_754_155, rel=0.04)
    assert fraud.mean() == pytest.approx(0.0084, abs=0.0006)
    large, terminals, cards = np.bincount(half_year["scenario"][fraud])
    assert large == pytest.approx(978, rel=0.2)
    assert terminals == pytest.approx(9_099, rel=0.06)
    assert cards == pytest.approx(4_604, rel=0.15)
    assert len(half_year) / DAYS == pytest.approx(9_600, rel=0.04)
    full = fraud & (day >= FIRST + 28)  # by then as many terminals are taken over as ever
    assert full.sum() / (DAYS - 28) == pytest.approx(85, rel=0.1)
    victims = len(np.unique(day[full] * 10_000 + half_year["customer"][full])) / (DAYS - 28)
    assert 70 < victims < 85  # a little fewer frauded cards than frauds a day


def test_amounts_and_times_are_distributed_as_the_book_says(half_year: Array) -> None:
    honest = half_year[half_year["scenario"] == HONEST]
    assert honest["amount"].mean() == pytest.approx(52.5, rel=0.03)  # the middle between 5 and 100
    assert (honest["amount"] < 100).mean() > 0.85  # most are below 100
    assert honest["amount"].min() >= 0
    assert honest["amount"].max() <= 220
    seconds = half_year["time"] // 1000 % 86_400
    assert seconds.mean() == pytest.approx(43_200, abs=100)
    assert seconds.std() == pytest.approx(18_200, abs=100)  # 20,000 without what falls outside the day
    usual = np.bincount(half_year["customer"], minlength=5_000) / DAYS
    assert np.percentile(usual, [25, 50, 75]) == pytest.approx(np.array([1, 2, 3]) * 0.969, abs=0.1)


def test_every_amount_above_the_limit_is_fraud(fortnights: Array) -> None:
    large = fortnights[fortnights["scenario"] == LARGE_AMOUNT]
    assert len(large) > 5
    assert large["amount"].min() > SMALL.large_amount
    assert fortnights["amount"][fortnights["scenario"] == HONEST].max() <= SMALL.large_amount


def test_all_transactions_of_a_terminal_are_fraud_for_twenty_eight_days_and_none_later(fortnights: Array) -> None:
    taken = fortnights[fortnights["scenario"] == TERMINAL_TAKEN_OVER]
    day = taken["time"] // DAY_MS
    assert (day - taken["since"]).min() == 0
    assert (day - taken["since"]).max() == SMALL.terminal_days - 1
    for number in range(40):
        victims = victims_on(WORLD, FIRST + number)
        today = fortnights[fortnights["time"] // DAY_MS == FIRST + number]
        there = victims.terminals[today["terminal"]] != NEVER
        assert (today["scenario"][there] != HONEST).all()
        assert not (today["scenario"][~there] == TERMINAL_TAKEN_OVER).any()
        assert (victims.terminals != NEVER).sum() <= SMALL.terminals_a_day * min(number + 1, SMALL.terminal_days)


def test_a_third_of_what_a_leaked_card_pays_is_fraud_and_five_times_as_large(fortnights: Array) -> None:
    victim = np.zeros(len(fortnights), bool)
    for number in range(40):
        cards = victims_on(WORLD, FIRST + number).cards != NEVER
        today = fortnights["time"] // DAY_MS == FIRST + number
        victim |= today & cards[fortnights["customer"]]
    leaked = fortnights["scenario"] == LEAKED_CARD
    assert not (leaked & ~victim).any()
    assert leaked[victim].mean() == pytest.approx(1 / 3, abs=0.05)
    mean = WORLD.mean_amount[fortnights["customer"]]
    assert (fortnights["amount"][leaked] / mean[leaked]).mean() == pytest.approx(5.0, rel=0.1)


def test_customers_pay_at_terminals_near_them_alone(fortnights: Array) -> None:
    for customer in range(0, SMALL.customers, 10):
        terminals = np.unique(fortnights["terminal"][fortnights["customer"] == customer])
        if len(terminals):
            north = np.ptp(WORLD.latitude[terminals]) * 111.195
            east = np.ptp(WORLD.longitude[terminals]) * 111.195 * np.cos(np.radians(SMALL.south))
            assert max(north, east) <= 2 * SMALL.radius
    alone = HandbookWorld.make(5, replace(SMALL, radius=1e-9))
    assert len(payments(alone, FIRST)) == 0


def hours(world: HandbookWorld, start: datetime, n: int, reporting: Reporting = PERFECT) -> Iterator[Batch]:
    return islice(handbook_transactions(world, start, reporting), n)


def joined(batches: Iterator[Batch]) -> Batch:
    return Batch(*(pa.concat_tables(tables) for tables in zip(*batches, strict=True)))


@pytest.mark.parametrize("later", [timedelta(days=20), timedelta(days=3, hours=13, minutes=7)])
def test_streams_agree_wherever_they_begin(later: timedelta) -> None:
    whole = joined(hours(WORLD, SMALL.first, 24 * 22, Reporting()))
    start = SMALL.first + later
    part = joined(hours(HandbookWorld.make(5, SMALL), start, 24, Reporting()))
    first, last = part.transactions["event_time"][0].as_py(), part.transactions["event_time"][-1].as_py()
    assert first >= start
    within = pc.and_(
        pc.greater_equal(whole.transactions["event_time"], pa.scalar(start, TRANSACTION_ARROW.field(1).type)),
        pc.less_equal(whole.transactions["event_time"], pa.scalar(last, TRANSACTION_ARROW.field(1).type)),
    )
    assert whole.transactions.filter(within).equals(part.transactions)
    ids = part.transactions["transaction_id"]
    for table, of_whole in ((part.truth, whole.truth), (part.labels, whole.labels)):
        assert table.equals(of_whole.filter(pc.is_in(of_whole["transaction_id"], ids)))


def test_each_hour_holds_its_own_transactions_and_what_is_known_of_them() -> None:
    for number, batch in enumerate(hours(WORLD, SMALL.first, 72)):
        times = batch.transactions["event_time"].cast(pa.int64()).to_numpy()
        assert (times // HOUR_MS == FIRST * 24 + number).all()
        for table in (batch.truth, batch.labels):
            assert pc.all(pc.is_in(table["transaction_id"], batch.transactions["transaction_id"])).as_py() is not False


def test_transactions_have_the_contracts_form_and_null_for_what_the_book_does_not_have() -> None:
    table = joined(hours(WORLD, SMALL.first, 48)).transactions
    assert table.schema.equals(TRANSACTION_ARROW)
    empty = {"currency", "merchant_category", "country", "channel", "device_id"}
    assert {name for name in table.column_names if table[name].null_count == len(table)} == empty
    assert {name for name in table.column_names if table[name].null_count == 0} == set(table.column_names) - empty
    assert len(pc.unique(table["transaction_id"])) == len(table)
    times = table["event_time"].cast(pa.int64()).to_numpy()
    assert (np.diff(times) >= 0).all()


def test_perfect_labels_are_the_truth_seven_days_later() -> None:
    made = joined(hours(WORLD, SMALL.first, 24 * 10))
    assert made.truth.schema.equals(LABEL_ARROW)
    assert made.labels["transaction_id"].equals(made.truth["transaction_id"])
    assert pc.all(made.labels["is_fraud"]).as_py()
    delays = pc.subtract(made.labels["label_time"], made.truth["label_time"])
    assert pc.unique(delays).to_pylist() == [timedelta(days=7)]
    assert set(made.truth["scenario"].to_pylist()) == set(SCENARIOS)


def test_a_history_of_the_handbook_says_what_it_was_made_from_and_goes_on_after_its_end(tmp_path: Path) -> None:
    origin = Origin(5, SMALL.customers, SMALL.first + timedelta(days=4), 4, reporting=PERFECT, handbook=SMALL)
    rows = write_history(tmp_path, origin, WORLD)
    assert read_origin(tmp_path) == origin
    written = pq.read_table(tmp_path / "transactions.parquet")
    assert len(written) == rows
    same = read_origin(tmp_path)
    longer = joined(islice(batches(same.world(), SMALL.first, same.run, same.reporting), 24 * 5)).transactions
    assert longer.slice(0, rows).equals(written)
    assert longer["event_time"][rows].as_py() >= origin.live_start


def test_a_history_can_be_replayed(tmp_path: Path) -> None:
    origin = Origin(5, SMALL.customers, SMALL.first + timedelta(days=4), 4, reporting=PERFECT, handbook=SMALL)
    write_history(tmp_path, origin, WORLD)
    written = pq.read_table(tmp_path / "transactions.parquet")
    rejects = Rejects(tmp_path / "rejects.jsonl")
    pieces = DataSet(tmp_path / "transactions.parquet", load_mapping("history")).pieces(rejects)
    replayed = pa.concat_tables([piece.table for piece in pieces])
    assert rejects.count == 0
    assert replayed.select(written.column_names).equals(written)


def test_the_same_seed_gives_the_same_world_and_another_one_another() -> None:
    first = payments(WORLD, FIRST)
    assert (payments(HandbookWorld.make(5, SMALL), FIRST) == first).all()
    assert len(first) != len(payments(HandbookWorld.make(6, SMALL), FIRST))


def test_the_options_give_the_books_world_unless_they_say_otherwise() -> None:
    origin = origin_of_history("handbook", 3, None, (None, None), (None, None))
    assert origin.handbook == Handbook()
    assert (origin.days, origin.live_start) == (183, datetime(2018, 10, 1, tzinfo=UTC))
    assert origin.reporting == PERFECT
    other = origin_of_history("handbook", 3, 40, (5, "2020-02-01T00:00:00Z"), ("realistic", 3.0))
    assert other.handbook == replace(Handbook(), customers=40, first_day=datetime(2020, 1, 27, tzinfo=UTC).date())
    assert other.reporting == Reporting(median_days=3.0)


def test_what_does_not_happen_in_the_book_is_refused() -> None:
    with pytest.raises(WrongUse, match="--fraud-share is for the world standard"):
        origin_of_history("handbook", 3, None, (None, None), (None, None), scenario=None, fraud_share=0.1)
    with pytest.raises(WrongUse, match="has to be a midnight"):
        origin_of_history("handbook", 3, None, (5, "2020-02-01T03:00:00Z"), (None, None))
    with pytest.raises(WrongUse, match="customers has to be at least 3"):
        origin_of_history("handbook", 3, 2, (None, None), (None, None))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"radius": 0.0}, "radius has to be above 0"),
        ({"mean_amounts": (9.0, 3.0)}, "the lower one first"),
        ({"card_share": 1.5}, "a share, from 0 to 1"),
        ({"card_days": -1}, "card_days has to be at least 0"),
        ({"terminals": 1}, "terminals has to be at least 2"),
    ],
)
def test_impossible_parameters_are_refused(changes: dict[str, float], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        replace(Handbook(), **changes)


@pytest.mark.parametrize("start", [datetime(2018, 4, 2), datetime(2018, 3, 31, tzinfo=UTC)])
def test_a_stream_needs_a_time_with_zone_that_is_not_before_the_first_day(start: datetime) -> None:
    with pytest.raises(ValueError, match="start needs a time zone and is not before"):
        handbook_transactions(WORLD, start, PERFECT)


def test_a_campaign_is_one_terminals_or_one_cards_frauds_and_a_large_amount_is_alone() -> None:
    made = joined(hours(WORLD, SMALL.first, 24 * 40))
    rows = pc.index_in(made.truth["transaction_id"], value_set=made.transactions["transaction_id"].combine_chunks())
    merchants = made.transactions["merchant_id"].take(rows)
    found: dict[str, set[str | None]] = {}
    columns = (made.truth["scenario"], made.truth["campaign"], made.truth["customer_id"], merchants)
    for scenario, campaign, customer, merchant in zip(*(column.to_pylist() for column in columns), strict=True):
        if scenario == "large_amount":
            assert campaign is None
        else:
            assert campaign is not None
            assert campaign.startswith(f"{scenario}-")
            found.setdefault(campaign, set()).add(merchant if scenario == "terminal_taken_over" else customer)
    assert len(found) > 80
    assert all(len(victims) == 1 for victims in found.values())
