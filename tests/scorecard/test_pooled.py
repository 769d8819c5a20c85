"""Trials of several seeds: reproducible, and pooled into means with intervals over the seeds."""

from pathlib import Path

import pytest

from generator.population import make_population
from ml.evaluation.judgement import Judgement
from ml.evaluation.report import last_line
from scorecard.baselines import AmountAndHour, Chance
from scorecard.page import page
from scorecard.pooled import pooled
from scorecard.runs import Season, Size, season
from scorecard.trial import Trial, trial
from scorecard.words import markdown

TINY = Size(seeds=2, customers=400, days=16)  # fewer have no fraud in the days that judge


def played(folder: Path, seed: int) -> Season:
    return season(folder, make_population(seed, TINY.customers), TINY)


@pytest.fixture(scope="module")
def trials(tmp_path_factory: pytest.TempPathFactory) -> list[Trial]:
    folder = tmp_path_factory.mktemp("runs")
    contestants = (AmountAndHour(), Chance())
    return [trial(played(folder, seed), contestants, 0.005, (seed, 0)) for seed in (1, 2)]


def test_the_same_seed_gives_the_same_trial(trials: list[Trial], tmp_path: Path) -> None:
    assert trial(played(tmp_path, 1), (AmountAndHour(), Chance()), 0.005, (1, 0)) == trials[0]
    assert trials[0].standard != trials[1].standard


def test_pooled_figures_are_means_with_intervals_over_the_seeds(trials: list[Trial]) -> None:
    card = pooled([1, 2], trials)
    judgement, single = card.standard["chance"], [trial.standard["chance"] for trial in trials]
    assert isinstance(judgement, Judgement)
    first, second = (one.figures["auc"].value for one in single if isinstance(one, Judgement))
    assert first is not None
    assert second is not None
    auc = judgement.figures["auc"]
    assert auc.value == pytest.approx((first + second) / 2)
    assert auc.low is not None
    assert auc.low < min(first, second)
    assert judgement.frauds == sum(one.frauds for one in single if isinstance(one, Judgement))


def test_a_detector_that_could_not_be_fitted_has_its_reason_in_every_report(trials: list[Trial]) -> None:
    failing = [t._replace(standard=t.standard | {"xgboost": "too few known frauds"}) for t in trials]
    card = pooled([1, 2], failing)
    assert "xgboost" not in last_line(card.standard)
    assert "| xgboost | too few known frauds |" in markdown(card)
    assert "<td>too few known frauds</td>" in page(card)
