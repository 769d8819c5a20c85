"""One seed's trial: every detector fitted to the standard run, by the customers' own features, and judged on all runs."""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import msgspec
import numpy as np

from generator.runs import RunName
from ml.arrays import Flags, Floats, Ints
from ml.detectors import DETECTORS, TooFewRows
from ml.evaluation.contest import Contestant, Learner
from ml.evaluation.judgement import JudgedPart, Judgement, judge
from ml.metrics import Counts
from ml.progress import Progress, silent
from ml.scorers.scorer import Scorer
from scorecard.adaptive import Compared, compare
from scorecard.baselines import AmountAndHour, Chance
from scorecard.drawing import Drawing, drawn
from scorecard.reasons import Named, named
from scorecard.rules import rule_recalls
from scorecard.runs import WAVE, Season

CONTESTANTS: Final[tuple[Learner, ...]] = (*DETECTORS.values(), AmountAndHour(), Chance())


class Special(msgspec.Struct, frozen=True):
    """The results of the runs that are not standard; None where there is none.

    wave_caught: share of the frauds in the attack's ten minutes that were alerted; wave_seconds: from its begin to the first
    alert of one. The others are shares: of the honest transactions that were alerted before and after the drift began, of
    the frauds that were alerted then, and of all transactions of the calm run that were alerted.
    """

    wave_caught: float | None
    wave_seconds: float | None
    drift_false_before: float | None
    drift_false_after: float | None
    drift_recall_before: float | None
    drift_recall_after: float | None
    calm_false: float | None


class Trial(NamedTuple):
    """The results of one seed, by detector; a text says why a detector could not be fitted.

    reasons: by detector that gives reasons, and by scenario. rules: the recall of each scenario's own rule. thresholds: of
    the detectors, which have adaptive ones.
    """

    standard: dict[str, Judgement | str]
    special: dict[str, Special]
    drawings: dict[str, Drawing]
    reasons: dict[str, dict[str, Named]]
    rules: dict[str, float]
    thresholds: dict[str, Compared]


def trial(
    season: Season,
    contestants: Sequence[Learner],
    budget: float,
    draws: tuple[int, int],
    progress: Progress = silent,
) -> Trial:
    """Judge every contestant.

    draws: the seed, and the replicates of the bootstrap over days, 0 where there will be intervals over seeds.
    """
    seed, replicates = draws
    standard = season.data["standard"]
    judged_parts = {name: JudgedPart.from_data(data) for name, data in season.data.items()}
    result = Trial({}, {}, {}, {}, rule_recalls(judged_parts["standard"], season.raw, budget), {})
    for number, detector in enumerate(contestants):
        progress("fitting and judging", number, len(contestants), detector.name)
        try:
            contestant = Contestant.fitted(detector, standard, budget, seed)
        except TooFewRows as error:
            result.standard[detector.name] = str(error)
            continue
        scores = {name: contestant.scores(data.test) for name, data in season.data.items()}
        alerts = {name: contestant.alerts(of_run) for name, of_run in scores.items()}
        judged_part = judged_parts["standard"]
        result.standard[detector.name] = judge(
            judged_part, scores["standard"], alerts["standard"], budget, replicates, seed, contestant.decline_threshold
        )
        result.special[detector.name] = special(judged_parts, alerts, season.begins)
        result.drawings[detector.name] = drawn(judged_part, scores["standard"], contestant.threshold)
        if isinstance(contestant.scorer, Scorer):
            result.reasons[detector.name] = named(contestant.scorer, judged_part, alerts["standard"])
            result.thresholds[detector.name] = compare(season, judged_parts, contestant, scores, budget)
    progress("fitting and judging", len(contestants), len(contestants))
    return result


def special(
    judged_parts: Mapping[RunName, JudgedPart], alerts: Mapping[RunName, Flags], begins: Mapping[RunName, int]
) -> Special:
    """Judge the alerts (n,) on the test part of each run that is not standard."""
    attack, drift = judged_parts["attack"].test.time, judged_parts["drift"].test.time
    wave = (attack >= begins["attack"]) & (attack < begins["attack"] + WAVE) & judged_parts["attack"].is_fraud
    caught: Ints = np.flatnonzero(wave & alerts["attack"])
    before, after = (
        Counts.from_flags(judged_parts["drift"].is_fraud[rows], alerts["drift"][rows])
        for rows in (drift < begins["drift"], drift >= begins["drift"])
    )
    calm: Floats = alerts["calm"].astype(np.float64)
    return Special(
        Counts.from_flags(judged_parts["attack"].is_fraud[wave], alerts["attack"][wave]).recall.value,
        float(attack[caught[0]] - begins["attack"]) / 1000 if len(caught) else None,
        before.false_positive_rate.value,
        after.false_positive_rate.value,
        before.recall.value,
        after.recall.value,
        float(calm.mean()),
    )
