"""The gate: each kind of model that must not judge is refused with its reason, on a real MLflow."""

import time
from dataclasses import fields, replace
from pathlib import Path

import msgspec
import numpy as np
import pytest

from ml.arrays import Floats
from ml.evaluation.stretch import Stretch
from ml.features import FEATURES
from ml.features.profile_schema import PROFILE_FEATURES
from ml.gate import checks, fresh
from ml.gate.gate import Report, gate
from ml.model import Model
from ml.registry import tracking
from ml.registry.model_store import ModelStore
from ml.registry.serialization import PLACE
from tests.ml.conftest import Run, isolation_scorer
from tests.ml.evaluation_cases import stretch


def failed(report: Report) -> dict[str, str]:
    return {check.name: check.figures for check in report.failed}


@pytest.fixture
def champion(registry: ModelStore, model: Model, features: Floats) -> ModelStore:
    """A registry whose version 1 is the champion."""
    registry.register(model, features)
    registry.promote(1)
    return registry


def test_a_model_like_the_champion_passes_and_what_is_not_known_is_said(
    champion: ModelStore, model: Model, features: Floats
) -> None:
    twin = replace(model, scorer=isolation_scorer(features, seed=2))
    champion.register(twin, features, metrics={"alert_share_check_part": 0.005})
    report = gate(champion, 2)
    assert report.passed, report
    assert not report.better
    assert [(check.name, check.passed) for check in report.checks] == [
        *(("load", True), ("features", True), ("scores", True), ("speed", True), ("alerts", True)),
        *(("quality", None), ("shadow", None)),
    ]
    assert (report.version, report.champion) == (2, 1)


def test_a_broken_model_is_refused(champion: ModelStore, model: Model, features: Floats) -> None:
    champion.register(model, features)
    source = tracking.client(champion.uri).get_model_version_download_uri("scoreline", "2")
    Path(source.removeprefix("file://"), PLACE).write_bytes(b"")
    report = gate(champion, 2)
    assert "scorer.npz can't be read" in failed(report)["load"]
    assert len(report.checks) == 1


def test_a_version_that_is_not_there_is_refused(champion: ModelStore) -> None:
    assert failed(gate(champion, 9)) == {"load": "there is no such version"}


def test_a_model_of_features_that_are_not_computed_here_is_refused(
    champion: ModelStore, model: Model, features: Floats
) -> None:
    names = tuple("new_browser" if name == "new_device" else name for name in FEATURES)
    champion.register(replace(model, features=names), features)
    assert "new_browser" in failed(gate(champion, 2))["load"]


def test_a_model_of_profiles_is_refused_where_the_champion_has_none(model: Model) -> None:
    other = replace(model, features=(*FEATURES[:-1], PROFILE_FEATURES[0]))
    check = checks.same_features(other, model)
    assert (check.passed, PROFILE_FEATURES[0] in check.figures) == (False, True)
    assert checks.same_features(model, other).passed
    assert checks.same_features(other, None).passed


def test_a_slow_model_is_refused(registry: ModelStore, model: Model, small_model: Model, features: Floats) -> None:
    registry.register(small_model, features)
    registry.promote(1)
    registry.register(model, features)  # 100 trees beside 3
    assert "at most 1.5" in failed(gate(registry, 2))["speed"]


def test_a_model_that_is_slow_for_one_row_alone_is_refused(model: Model) -> None:
    class SlowAlone(Model):
        def anomaly_score_one(self, features: Floats) -> float:
            time.sleep(0.005)
            return super().anomaly_score_one(features)

    slow = SlowAlone(**{field.name: getattr(model, field.name) for field in fields(model)})
    assert checks.fast_enough(slow, model, 5.0).passed is False


def test_a_fresh_process_that_loads_another_model_is_noticed(
    registry: ModelStore, model: Model, features: Floats
) -> None:
    registry.register(model, features)
    loaded = registry.load(1)
    assert fresh.ask(registry, loaded) == ""
    for other in (replace(loaded, digest="0" * 64), replace(loaded, scorer=isolation_scorer(features, seed=2))):
        assert "other scores there" in fresh.ask(registry, other)


def test_a_degenerate_model_is_refused(champion: ModelStore, model: Model, features: Floats) -> None:
    alike = replace(model, scorer=isolation_scorer(np.zeros_like(features), seed=1), threshold=0.9)
    champion.register(alike, features)
    assert "degenerate" in failed(gate(champion, 2))["scores"]


@pytest.mark.parametrize(
    ("scores", "reason"),
    [
        ([0.1, np.nan, 0.2], "1 of 3 scores of reference rows are not finite"),
        ([0.1, np.inf, 0.2], "not finite"),
        ([0.1, 1.5, 0.2], "outside"),
        ([0.5] * 950 + list(np.linspace(0, 1, 50)), "degenerate"),
    ],
)
def test_scores_that_say_nothing_are_refused(scores: list[float], reason: str) -> None:
    check = checks.sane_scores(np.array(scores))
    assert (check.passed, reason in check.figures) == (False, True), check


def test_a_model_that_alerts_more_than_its_budget_is_refused(
    champion: ModelStore, model: Model, features: Floats
) -> None:
    champion.register(model, features, metrics={"alert_share_check_part": 0.02})
    assert "2.00% of" in failed(gate(champion, 2))["alerts"]
    assert checks.within_budget(0.0, 0.005, 1.5, "traffic").passed is False
    assert checks.within_budget(0.007, 0.005, 1.5, "traffic").passed
    assert checks.within_budget(None, 0.005, 1.5, "traffic").passed is None


# Labelled days


def detection_scores(of: Stretch, skill: float, seed: int) -> Floats:
    """Scores in which fraud stands out by so much."""
    noise = np.random.default_rng(seed).normal(size=len(of.is_fraud))
    return 1 / (1 + np.exp(-(noise + skill * of.is_fraud)))


def test_a_model_that_finds_less_at_the_same_budget_is_refused_and_one_that_finds_more_is_better() -> None:
    days = stretch(10, 2_000)
    good, bad = detection_scores(days, 3.0, 1), detection_scores(days, 1.0, 2)
    worse = checks.difference(days, bad, good, 0.02)
    better = checks.difference(days, good, bad, 0.02)
    assert worse.high < 0 < better.low
    assert checks.not_worse(worse, days, 0.02).passed is False
    assert checks.not_worse(better, days, 0.02).passed


def test_models_of_the_same_skill_are_told_apart_no_more_often_than_chance_allows() -> None:
    verdicts = []
    for seed in range(60):
        days = stretch(12, 800, seed)
        ours, theirs = (detection_scores(days, 2.0, 1_000 + 2 * seed + number) for number in range(2))
        found = checks.difference(days, ours, theirs, 0.02)
        verdicts.append((found.high < 0, found.low > 0))
    refused, better = np.mean(verdicts, axis=0)
    assert refused <= 0.1
    assert better <= 0.1


def test_the_same_scores_differ_by_nothing() -> None:
    days = stretch(5, 1_000)
    scores = detection_scores(days, 2.0, 1)
    assert checks.difference(days, scores, scores, 0.02)[2:] == (0.0, 0.0)


def test_too_few_days_or_frauds_decide_nothing() -> None:
    assert "2 days" in checks.too_few(stretch(2, 2_000))
    assert "frauds are too few" in checks.too_few(stretch(5, 20))
    assert checks.too_few(stretch(5, 1_000)) == ""


# The command


def test_the_command_compares_on_days_that_neither_model_was_trained_on(
    run: Run, registry: ModelStore, labelled_folder: Path
) -> None:
    for seed in ("1", "2"):
        assert run("train", str(labelled_folder), "--seed", seed, "--budget", "0.02")[0] == 0
    registry.promote(1)
    status, out, _ = run("gate", "2", str(labelled_folder), "--json", "--slower", "50")
    report = msgspec.json.decode(out.splitlines()[-1], type=Report)
    assert status in (0, 3)
    said = {check.name: check for check in report.checks}
    assert "transactions that neither model saw" in said["alerts"].figures
    assert 500 < int(said["alerts"].figures.split("% of ")[1].split()[0].replace(",", "")) <= 601  # the last tenth
    _, out, _ = run("gate", "2", str(labelled_folder), "--since", "2025-06-20", "--alerts", "10", "--slower", "50")
    assert "quality   recall" in out
    assert "days" in out


def test_a_refused_version_is_promoted_by_force_alone_and_the_history_says_so(
    run: Run, champion: ModelStore, model: Model, features: Floats
) -> None:
    champion.register(model, features, metrics={"alert_share_check_part": 0.5})
    status, out, _ = run("gate", "2")
    assert status == 3
    assert "FAILED   alerts" in out
    assert out.endswith("version 2: refused (alerts)\n")
    status, _, err = run("promote", "2")
    assert status == 1
    assert "version 2 is not promoted: the gate refused it (alerts: 50.00% of" in err
    assert run("promote", "2", "--force", "--why", "a test")[0] == 0
    event = champion.events()[-1]
    assert (event.version, event.forced, event.why) == (2, True, "a test")
    assert [check.name for check in event.gate if check.passed is False] == ["alerts"]


def test_a_version_that_passed_is_promoted_with_the_report_in_the_history(
    run: Run, champion: ModelStore, model: Model, features: Floats
) -> None:
    champion.register(model, features, metrics={"alert_share_check_part": 0.005})
    assert run("gate", "2")[0] == 0
    assert run("promote", "2")[0] == 0
    event = champion.events()[-1]
    assert (event.forced, [check.name for check in event.gate][:4]) == (False, ["load", "features", "scores", "speed"])
