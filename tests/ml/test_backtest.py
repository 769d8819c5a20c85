"""A backtest counts what a model would have flagged, day by day, beside what was flagged."""

from pathlib import Path

import msgspec
import numpy as np
import pytest

from ml.evaluation.backtest import Backtest, backtest, rows, summary
from ml.registry.model_store import ModelStore
from tests.ml.conftest import Run
from tests.ml.evaluation_cases import stretch


def test_alerts_frauds_and_overlap_are_counted_by_day() -> None:
    days = stretch(4, 500)
    random = np.random.default_rng(5)
    now, then = random.random(2_000) < 0.1, random.random(2_000) < 0.05
    found = backtest(days, 3, 0.7, now, ("the champion, version 1", then))
    assert found.days[0].day == "1970-01-01"
    assert sum(day.transactions for day in found.days) == 2_000
    assert sum(day.alerts for day in found.days) == now.sum() == found.alerts_a_day * 4
    assert sum(day.both for day in found.days) == (now & then).sum()
    assert found.precision.value == pytest.approx((now & days.is_fraud).sum() / now.sum())
    assert found.was_recall.value == pytest.approx((then & days.is_fraud).sum() / days.is_fraud.sum())
    assert found.new_frauds - found.lost_frauds == (now & days.is_fraud).sum() - (then & days.is_fraud).sum()
    assert len(rows(found)) == 4
    assert "version 3 above 0.7000" in summary(found)


def test_the_command_takes_days_and_a_threshold(run: Run, registry: ModelStore, labelled_folder: Path) -> None:
    for seed in ("1", "2"):
        assert run("train", str(labelled_folder), "--seed", seed, "--budget", "0.02")[0] == 0
    registry.promote(1)
    common = ("backtest", str(labelled_folder), "--model", "2", "--from", "2025-06-20", "--to", "2025-06-22")
    found = msgspec.json.decode(run(*common, "--json")[1], type=Backtest)
    assert [day.day for day in found.days] == ["2025-06-20", "2025-06-21", "2025-06-22"]
    assert found.threshold == registry.load(2).threshold
    assert found.compared_with == "the champion, version 1"
    everything = msgspec.json.decode(run(*common, "--threshold", "0", "--json")[1], type=Backtest)
    assert all(day.alerts == day.transactions and day.caught == day.frauds for day in everything.days)
    assert everything.recall.value == 1.0
    out = run(*common)[1]
    assert out.splitlines()[0].split("\t")[:4] == ["day", "transactions", "frauds", "alerts"]
    assert (
        "--from is later"
        in run("backtest", str(labelled_folder), "--model", "2", "--from", "2025-07-01", "--to", "2025-06-01")[2]
    )
