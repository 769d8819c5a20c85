"""The figures of the loop: what is known of a made-up run has to come out, and what was not measured says why."""

import numpy as np
import pytest

from bench.loop.__main__ import judged
from bench.loop.figures import Run
from bench.loop.records import NONE, Records
from ml.features import DAY
from watch.steps import Entry, Step

T0 = 1_780_000_000_000
A_DAY = 1_000
"""Transactions; the clock has one second for twenty."""
FIRST, SECOND = 1, 2


def run(
    days_before: int = 4, days_during: int = 6, days_after: int = 4, promoted: bool = True, good: float = 0.9
) -> Run:
    """One fraud in a hundred. The first champion finds 80 % of them until the drift and 20 % then; the second one `good`."""
    n = A_DAY * (days_before + days_during + days_after)
    rng = np.random.default_rng(101)
    rows = np.arange(n)
    time, arrived = T0 + rows * (DAY // A_DAY), T0 + rows * 50
    is_fraud = rows % 100 == 7
    drift, change = A_DAY * days_before, A_DAY * (days_before + days_during)
    first = np.where(is_fraud & (rng.random(n) < np.where(rows < drift, 0.8, 0.2)), 0.9, 0.1 * rng.random(n))
    second = np.where(is_fraud & (rng.random(n) < good), 0.8, 0.05 * rng.random(n))
    new = (rows >= change) & promoted
    records = Records(
        *(time, arrived, is_fraud),
        *(np.where(new, SECOND, FIRST), np.where(new, second, first)),
        *(np.where(new, FIRST, NONE), np.where(new, first, np.nan)),
        *(n, 0, 0),
    )
    at = int(arrived[min(change, n - 1)])
    steps = [
        (int(arrived[drift]) + 30_000, Step("alarm", "drift")),
        (int(arrived[drift]) + 60_000, Step("challenge", "", version=FIRST, role="guard")),
        (int(arrived[drift]) + 90_000, Step("challenge", "", version=SECOND, role="candidate")),
        *([(at - 1_000, Step("promote", "", version=SECOND, champion=FIRST))] if promoted else []),
    ]
    journal = [Entry(f"{k:06d}", time, T0, "done", step) for k, (time, step) in enumerate(steps)]
    return Run(records, journal, int(time[drift]), 0.012, FIRST)


def test_a_made_up_run_gives_its_minutes_and_its_recall() -> None:
    figures = run().figures(20.0)
    assert (figures.alarm_minutes, figures.challenger_minutes) == (0.5, 1.5)
    assert figures.promoted_minutes == pytest.approx(6 * 50 / 60 - 1 / 60, abs=0.01)
    assert figures.recall_before == pytest.approx(0.8, abs=0.15)
    assert figures.recall_during == pytest.approx(0.2, abs=0.15)
    assert figures.recall_without == pytest.approx(0.2, abs=0.15)
    assert figures.recall_after == pytest.approx(0.9, abs=0.12)
    assert figures.recovered_minutes == pytest.approx(7 * 50 / 60, abs=0.2)  # the first whole day under the second one
    assert (figures.lost, figures.judged_twice, figures.promotions, figures.rollbacks) == (0, 0, 1, 0)
    assert figures.frauds == [40, 60, 40]
    assert figures.simulated_days_a_minute == pytest.approx(1.2, abs=0.01)
    assert figures.not_measured == {}


def test_what_did_not_happen_is_null_with_its_reason() -> None:
    figures = run(promoted=False).figures(20.0)
    assert (figures.promoted_minutes, figures.recovered_minutes, figures.recall_after) == (None, None, None)
    assert set(figures.not_measured) == {"promoted_minutes", "recovered_minutes", "recall_after", "recall_without"}
    assert "no version was promoted" in figures.not_measured["recovered_minutes"]
    assert any("not recovered: no version was promoted" in line for line in judged(figures))


def test_a_successor_that_is_no_better_has_not_recovered() -> None:
    figures = run(good=0.3).figures(20.0)
    assert figures.recovered_minutes is None
    assert "did not stay" in figures.not_measured["recovered_minutes"]


def test_recall_by_the_champion_before_is_of_the_same_records_as_after() -> None:
    made = run()
    curve = made.curve()
    before = [k for k, day in enumerate(curve.days) if day <= 6]
    assert [curve.live[k] for k in before] == [curve.without[k] for k in before]
    last = [k for k, day in enumerate(curve.days) if day >= 8]
    assert np.mean([curve.live[k] or 0 for k in last]) > 2 * np.mean([curve.without[k] or 0 for k in last])


def test_a_lost_transaction_is_counted() -> None:
    made = run()
    less = Records(**{**made.records.__dict__, "sent": made.records.sent + 3})
    assert Run(less, made.journal, made.begins, made.budget).figures(1.0).lost == 3
