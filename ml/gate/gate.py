"""The gate: all checks of a version, in their order, as one report."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from ml.arrays import Floats
from ml.evaluation.stretch import Stretch, read_stretch
from ml.features.currencies import AS_PAID, Rates
from ml.features.declared import NOTHING, Declared
from ml.features.events import milliseconds
from ml.gate import checks, fresh
from ml.gate.checks import Limits
from ml.model import Model
from ml.progress import Progress, silent
from ml.registry.model_store import Check, ModelRefused, ModelStore, NoChampion, NotReady
from ml.registry.promotion_history import NO_JSON

UNSEEN_FROM: Final = "unseen_from"
"""The param of a training run that says from when on its history was neither fitted to nor used for the threshold."""

CHECK_SHARE: Final = "alert_share_check_part"


class Report(msgspec.Struct, frozen=True):
    """What the gate says of a version. champion: whom it was compared with, None where there was none.

    passed: no check failed. better: on labelled days it is better than the champion beyond chance, so that it may be promoted
    by itself.
    """

    version: int
    digest: str
    champion: int | None
    champion_digest: str
    time: int
    passed: bool
    better: bool
    checks: list[Check]

    @property
    def failed(self) -> list[Check]:
        """Those that did not pass."""
        return [check for check in self.checks if check.passed is False]


class Data(NamedTuple):
    """The labelled days to compare on. history: None: there are none; since: ms, None: days of neither model's training;
    past: ms, days before it are the customers' past alone, without which everything is new to them, and alerted.
    """

    history: Path | None = None
    since: int | None = None
    rates: Rates = AS_PAID
    declared: Declared = NOTHING
    past: int = 0


Shadow = Callable[[Model], Check]
"""Checks a model's scores of live traffic."""


def no_shadow(model: Model) -> Check:
    """What is said where no live scores are to be had."""
    return Check(
        "shadow",
        None,
        f"no live scores of version {model.version} were given: put it on trial and name them (--scores)",
    )


def gate(
    registry: ModelStore,
    version: int,
    data: Data = Data(),  # noqa: B008  # it is frozen
    limits: Limits = Limits(),  # noqa: B008  # it is frozen
    shadow: Shadow = no_shadow,
    progress: Progress = silent,
) -> Report:
    """Check a version against the champion. A model that can't be loaded is refused by the first check, and no other is made.

    Raises what the registry and the history raise where they can't be read.
    """
    champion = _champion(registry)
    try:
        model = registry.load(version)
        refusal = fresh.ask(registry, model)
    except (ModelRefused, NotReady) as error:
        return _report(version, None, champion, [Check("load", False, str(error))])
    loaded = Check("load", not refusal, refusal or "a fresh process loads it, with the same scores of its probe")
    rows = checks.reference_rows(model)
    found = [
        loaded,
        checks.same_features(model, champion),
        checks.sane_scores(model.anomaly_score(rows)),
        checks.fast_enough(model, champion, limits.slower),
    ]
    if any(check.passed is False for check in found):  # what it flags is of no interest then
        return _report(version, model, champion, found)
    on_days, better = _on_days(registry, model, champion, data, limits, progress)
    return _report(version, model, champion, [*found, *on_days, shadow(model)], better)


def report_of(registry: ModelStore, version: int) -> Report | None:
    """What the gate said of a version last; None where it was not asked, or by a release that says it differently."""
    text = registry.report(version)
    if text is None:
        return None
    try:
        return msgspec.json.decode(text, type=Report)
    except NO_JSON:
        return None


def _champion(registry: ModelStore) -> Model | None:
    try:
        return registry.load(registry.champion())
    except NoChampion:
        return None


def _report(
    version: int, model: Model | None, champion: Model | None, found: Sequence[Check], better: bool = False
) -> Report:
    passed = all(check.passed is not False for check in found)
    return Report(
        version,
        "" if model is None else model.digest,
        None if champion is None else champion.version,
        "" if champion is None else champion.digest,
        milliseconds(datetime.now(UTC)),
        passed,
        passed and better,
        list(found),
    )


def _on_days(
    registry: ModelStore, model: Model, champion: Model | None, data: Data, limits: Limits, progress: Progress
) -> tuple[list[Check], bool]:
    """The checks of alerts and quality, and whether the model is better; by what training found where there is no history."""
    known = registry.training(model.version)
    budget = model.budget if champion is None else champion.budget
    since = data.since if data.since is not None else _unseen(registry, model, champion)
    if data.history is None or since is None:
        why = (
            "no history with labels was given"
            if data.history is None
            else ("it is not known which days neither model was trained on: say it (--since)")
        )
        of = "the last tenth of its own history"
        alerts = checks.within_budget(known.metrics.get(CHECK_SHARE), budget, limits.alerts, of)
        return [alerts, Check("quality", None, why)], False
    models = [model] if champion is None else [model, champion]
    stretch = read_stretch(
        data.history, models, max(since, data.past), rates=data.rates, declared=data.declared, progress=progress
    )
    ours = stretch.scores(model)
    share = float(model.is_anomaly(ours).mean())
    alerts = checks.within_budget(share, budget, limits.alerts, f"{len(ours):,} transactions that neither model saw")
    quality, better = _quality(stretch, champion, ours, budget)
    return [alerts, quality], better


def _quality(stretch: Stretch, champion: Model | None, ours: Floats, budget: float) -> tuple[Check, bool]:
    if champion is None:
        return Check("quality", None, "there is no champion to compare with"), False
    if why := checks.too_few(stretch):
        return Check("quality", None, why), False
    found = checks.difference(stretch, ours, stretch.scores(champion), budget)
    return checks.not_worse(found, stretch, budget), found.low > 0


def _unseen(registry: ModelStore, model: Model, champion: Model | None) -> int | None:
    """From when on (ms) neither model has seen any transaction in its training; None where that is not known."""
    models = [model] if champion is None else [model, champion]
    said = [registry.training(each.version).params.get(UNSEEN_FROM) for each in models]
    times = [datetime.fromisoformat(text).timestamp() * 1000 for text in said if text]
    return int(max(times)) if len(times) == len(models) else None
