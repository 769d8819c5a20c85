"""Trials of several seeds as one result: means, with intervals over the seeds."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from statistics import fmean, median
from types import MappingProxyType

import msgspec

from generator.runs import RunName
from ml.evaluation.estimates import Estimate, over_seeds
from ml.evaluation.judgement import Judgement, ScenarioResult
from ml.evaluation.report import ranked
from scorecard.adaptive import Days, Thresholds
from scorecard.combination import Gain, gain
from scorecard.drawing import Drawing
from scorecard.reasons import Named
from scorecard.trial import Special, Trial

SPECIAL = Special.__struct_fields__


class Scorecard(msgspec.Struct, frozen=True):
    """All that is known of every detector.

    special: by detector and field of `Special`. drawings: of the first seed. reasons: by detector that gives reasons and
    scenario, added up. rules: the recall of each scenario's own rule. thresholds: by detector and field of `Thresholds`.
    days: the alerts of each day, by detector and run, of the first seed. worlds: with profiles, by world and detector.
    gains: what the combination gains, by kind of data.
    """

    seeds: list[int]
    standard: dict[str, Judgement | str]
    special: dict[str, dict[str, Estimate]]
    drawings: dict[str, Drawing]
    reasons: dict[str, dict[str, Named]]
    rules: dict[str, Estimate]
    thresholds: dict[str, dict[str, Estimate]]
    days: dict[str, dict[RunName, Days]]
    worlds: dict[str, dict[str, Judgement | str]] = {}
    gains: dict[str, Gain] = {}

    @property
    def best(self) -> tuple[str, Judgement]:
        """The detector with the highest average precision."""
        return next(iter(ranked(self.standard).items()))


Worlds = Mapping[str, Sequence[Mapping[str, Judgement | str]]]
"""By world, each seed's judgements by detector."""


def pooled(seeds: Sequence[int], trials: Sequence[Trial], worlds: Worlds = MappingProxyType({})) -> Scorecard:
    """One trial's own figures, with its intervals over days; of several the means, with intervals over the seeds."""
    names = list(trials[0].standard)
    return Scorecard(
        list(seeds),
        {name: _judgement([trial.standard[name] for trial in trials]) for name in names},
        {name: _special([trial.special[name] for trial in trials if name in trial.special]) for name in names},
        trials[0].drawings,
        {name: _reasons([trial.reasons[name] for trial in trials]) for name in trials[0].reasons},
        {
            name: over_seeds([t.rules[name] for t in trials if name in t.rules])
            for name in _keys([t.rules for t in trials])
        },
        {name: _thresholds([t.thresholds[name].figures for t in trials]) for name in trials[0].thresholds},
        {name: compared.days for name, compared in trials[0].thresholds.items()},
        {
            world: {name: _judgement([of_seed[name] for of_seed in of_seeds]) for name in of_seeds[0]}
            for world, of_seeds in worlds.items()
        },
        _gains(trials, worlds),
    )


def _gains(trials: Sequence[Trial], worlds: Worlds) -> dict[str, Gain]:
    found = {"the customer's features alone": gain([trial.standard for trial in trials])}
    found |= {f"{world}, with profiles": gain(of_seeds) for world, of_seeds in worlds.items()}
    return {data: one for data, one in found.items() if one is not None}


def _keys(mappings: Iterable[Iterable[str]]) -> list[str]:
    return sorted(set(chain.from_iterable(mappings)))


def _reasons(results: Sequence[Mapping[str, Named]]) -> dict[str, Named]:
    nothing = Named(0, 0, 0)
    return {name: sum((result.get(name, nothing) for result in results), nothing) for name in _keys(results)}


def _thresholds(results: Sequence[Thresholds]) -> dict[str, Estimate]:
    return {f: over_seeds([getattr(result, f) for result in results]) for f in Thresholds.__struct_fields__}


def _judgement(results: Sequence[Judgement | str]) -> Judgement | str:
    failed = next((result for result in results if isinstance(result, str)), None)
    if failed is not None:
        return failed
    judged = [result for result in results if isinstance(result, Judgement)]
    if len(judged) == 1:
        return judged[0]
    first = judged[0]
    scenarios = _keys(judgement.scenarios for judgement in judged)
    return Judgement(
        sum(judgement.transactions for judgement in judged),
        sum(judgement.frauds for judgement in judged),
        sum(judgement.days for judgement in judged),
        fmean(judgement.prevalence for judgement in judged),
        first.budget,
        first.currency,
        {name: over_seeds([judgement.figures[name].value for judgement in judged]) for name in first.figures},
        {name: fmean(judgement.ceilings[name] for judgement in judged) for name in first.ceilings},
        {name: _scenario([j.scenarios[name] for j in judged if name in j.scenarios]) for name in scenarios},
        sum(judgement.amount_lost for judgement in judged),
        sum(judgement.amount for judgement in judged),
        _figures([judgement.of_one_customer for judgement in judged if judgement.of_one_customer]),
    )


def _figures(results: Sequence[Mapping[str, Estimate]]) -> dict[str, Estimate]:
    return {name: over_seeds([result[name].value for result in results if name in result]) for name in _keys(results)}


def _scenario(results: Sequence[ScenarioResult]) -> ScenarioResult:
    """Counts and amounts are sums; the medians are those of the seeds' medians."""
    return ScenarioResult(
        sum(result.frauds for result in results),
        over_seeds([result.recall.value for result in results]),
        sum(result.attacks for result in results),
        sum(result.caught for result in results),
        _median([result.median_transactions_to_detection for result in results]),
        _median([result.median_seconds_to_detection for result in results]),
        _median([result.median_amount_lost for result in results]),
        sum(result.amount_lost for result in results),
        sum(result.amount for result in results),
    )


def _median(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(median(known)) if known else None


def _special(results: Sequence[Special]) -> dict[str, Estimate]:
    pooled = {field: over_seeds([getattr(result, field) for result in results]) for field in SPECIAL}
    seconds = _median([result.wave_seconds for result in results])
    return {**pooled, "wave_seconds": Estimate(seconds, reason="the median of the seeds")}
