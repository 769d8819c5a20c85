"""Whether the reasons of alerts are right: whether they name what the fraud had tampered with."""

from math import comb
from typing import Final

import msgspec

from generator.scenarios import SCENARIOS
from ml.arrays import Flags
from ml.evaluation.judgement import JudgedPart
from ml.explanation import REASONS, reasons
from ml.features import FEATURES
from ml.model import usual_ranges
from ml.scorers.scorer import Scorer

_TAMPERS: Final = {scenario.name: scenario.tampers for scenario in SCENARIOS}


class Named(msgspec.Struct, frozen=True):
    """Of one scenario's alerted frauds, how many name a feature that the scenario tampers with: as the first reason, as any."""

    alerts: int
    first: int
    any: int

    def __add__(self, other: "Named") -> "Named":
        return Named(self.alerts + other.alerts, self.first + other.first, self.any + other.any)


def by_lot(scenario: str) -> tuple[float, float]:
    """The same shares (first, any) of REASONS different features drawn by lot."""
    tampered, features = len(_TAMPERS[scenario]), len(FEATURES)
    return tampered / features, 1 - comb(features - tampered, REASONS) / comb(features, REASONS)


def named(scorer: Scorer, judged_part: JudgedPart, is_alert: Flags) -> dict[str, Named]:
    """By scenario, what the reasons of its frauds name that were alerted; is_alert: (n,) of the part."""
    rows = judged_part.frauds.row[is_alert[judged_part.frauds.row]]
    scenarios = judged_part.data.outline.knowledge.truth.scenarios
    of_row = judged_part.frauds.scenario[is_alert[judged_part.frauds.row]]
    names, usual = judged_part.data.feature_names, usual_ranges(judged_part.data.fit.features)
    given = reasons(scorer, judged_part.test.features[rows], usual, names)
    found: dict[str, Named] = {}
    for number, alert in zip(of_row.tolist(), given, strict=True):
        hits = [reason.feature in _TAMPERS[scenarios[number]] for reason in alert]
        one = Named(1, int(hits[0]), int(any(hits)))
        found[scenarios[number]] = found.get(scenarios[number], Named(0, 0, 0)) + one
    return found
