"""The runs: standard, attack, drift, calm."""

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from generator.population import make_population
from generator.runs import WAVE_MINUTES, Run, begins_within
from generator.stream import Batch, transactions
from tests.generator.conftest import MONDAY

POPULATION = make_population(seed=3, customers=5_000)
BEGINS = MONDAY + timedelta(days=2, hours=14)


def traffic(run: Run, days: int) -> list[Batch]:
    return list(itertools.islice(transactions(POPULATION, MONDAY, run), days * 24))


def tables(batches: list[Batch]) -> Batch:
    return Batch(*(pa.concat_tables(parts) for parts in zip(*batches, strict=True)))


def test_an_attack_is_a_wave_of_fifty_times_the_fraud_for_ten_minutes() -> None:
    usual, attack = tables(traffic(Run(), 4)), tables(traffic(Run("attack", begins=BEGINS), 4))
    wave = attack.truth.filter(pc.starts_with(attack.truth["campaign"], "wave-"))
    times = wave["label_time"].to_pylist()
    assert min(times) >= BEGINS
    assert max(times) < BEGINS + timedelta(minutes=WAVE_MINUTES)
    an_hour = pc.and_(
        pc.greater_equal(usual.transactions["event_time"], pa.scalar(BEGINS)),
        pc.less(usual.transactions["event_time"], pa.scalar(BEGINS + timedelta(hours=1))),
    )
    expected = pc.sum(an_hour).as_py() * 0.006 * WAVE_MINUTES / 60
    assert 25 * expected < len(wave) < 80 * expected
    assert len(attack.transactions) == len(usual.transactions) + len(wave)


def test_a_drift_changes_nothing_before_it_begins_and_much_afterwards() -> None:
    usual, drift = traffic(Run(), 12), traffic(Run("drift", begins=BEGINS), 12)
    first = int((BEGINS - MONDAY).total_seconds() / 3600)
    for one, other in zip(usual[:first], drift[:first], strict=True):
        assert one.transactions.equals(other.transactions)
    one, other = tables(usual[first:]).transactions, tables(drift[first:]).transactions
    assert online(other) > online(one) + 0.08
    assert median(other, "groceries") > 1.1 * median(one, "groceries")
    assert set(other["country"].unique().to_pylist()) > set(one["country"].unique().to_pylist())
    festival = range(5 * 24, 8 * 24)
    sizes = [len(batch.transactions) for batch in drift[first:]], [len(batch.transactions) for batch in usual[first:]]
    assert 1.3 < sum(sizes[0][hour] for hour in festival) / sum(sizes[1][hour] for hour in festival) < 1.7


def online(table: pa.Table) -> float:
    return float(pc.mean(pc.equal(table["channel"], "online").cast(pa.float64())).as_py())


def median(table: pa.Table, category: str) -> float:
    return float(np.median(table.filter(pc.equal(table["merchant_category"], category))["amount"].to_numpy()))


def test_one_scenario_can_be_had_alone() -> None:
    truth = tables(traffic(Run(only=("mule_transfers",), intensity=2.0), 7)).truth
    assert truth["scenario"].unique().to_pylist() == ["mule_transfers"]
    campaigns = pc.value_counts(truth["campaign"])
    assert 4 < np.mean([count["counts"].as_py() for count in campaigns]) < 6  # one comes in, four go out


@given(days=st.integers(1, 200), hour=st.integers(0, 23))
def test_a_wave_lies_within_its_history(days: int, hour: int) -> None:
    start = datetime(2026, 1, 1, hour, tzinfo=UTC)
    for begins in (begins_within("attack", start, days), begins_within("drift", start, days)):
        assert begins is not None
        assert start <= begins < start + timedelta(days=days)
        assert (begins.hour, begins.minute) == (14, 0)
    assert begins_within("standard", start, days) is None


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        ({"fraud_share": -0.1}, "fraud_share is a share"),
        ({"fraud_share": 1.0}, "fraud_share is a share"),
        ({"fraud_share": float("nan")}, "fraud_share is a share"),
        ({"intensity": 0.0}, "intensity multiplies campaigns, by 0.1 to 10, but is 0"),
        ({"drift_days": -1.0}, "drift_days is a number of days"),
        ({"only": ("robbery",)}, "only names scenarios, which are card_testing, .*, but has robbery"),
        ({"scenario": "calm"}, "a calm run has no fraud"),
        ({"scenario": "attack"}, "attack needs a time with zone"),
        ({"begins": BEGINS}, "only an attack or a drift begins"),
    ],
)
def test_a_run_that_contradicts_itself_is_refused(wrong: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        Run(**wrong)
