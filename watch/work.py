"""The long steps, training and the gate: what they do, in the process that does them."""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from lake.place import Place
from ml.dataset.fingerprint import sha256
from ml.dataset.history import History
from ml.features.currencies import Rates, default_rates
from ml.features.declared import Declared
from ml.features.declared import read as declaration
from ml.gate.checks import Limits
from ml.gate.gate import Data, Report, gate, no_shadow
from ml.gate.shadow import agreement
from ml.model import Model
from ml.registry.model_store import Check, ModelStore
from ml.training.policy import Policy, labels_for
from ml.training.train import train
from settings import Settings
from watch.doing import Outcome
from watch.lake_window import compared_from, live_scores, moment, past_of, write_window
from watch.state import Open

_PROFILES: Final = "profiles"


@dataclass(frozen=True)
class Work:
    """Where the long steps find what they need."""

    registry: ModelStore
    place: Place
    settings: Settings

    def do(self, work: Open) -> Outcome:
        """Train, or ask the gate. What was done before a kill is found in the registry. Raises what either raises."""
        return self._train(work) if work.step.kind == "train" else self._gate(work)

    def _train(self, work: Open) -> Outcome:
        registration, step = registration_of(work), work.step
        made = self.registry.registered_as(registration)
        if made is not None:
            return Outcome("done", f"version {made} was trained before", made)
        champion = self.registry.load(step.champion, self.registry.extras)
        params = self.registry.training(step.champion).params
        policy = Policy(self.registry.name, step.detector, champion.budget, profiles=_PROFILES in params)
        with tempfile.TemporaryDirectory(prefix="scoreline-watch-") as name:
            folder = Path(name)
            write_window(self.place, step.since, step.until, folder)
            history = History.open(folder, self._rates())
            trained = train(history, policy, labels_for(policy, folder))
            window = f"{self.place.uri} {moment(step.since).isoformat()} {moment(step.until).isoformat()}"
            data = {"history": window, "history_sha256": sha256(history)}
        model = self.registry.register(
            trained.model, trained.example, {**trained.params, **data}, trained.metrics, registration
        )
        return Outcome(
            "done", f"version {model.version}, {step.detector}, threshold {model.threshold:.4f}", model.version
        )

    def _gate(self, work: Open) -> Outcome:
        step = work.step
        with tempfile.TemporaryDirectory(prefix="scoreline-watch-") as name:
            data = Data(None, None, self._rates(), self._declared())
            if step.live:
                write_window(self.place, past_of(step.since, step.until), step.until, Path(name))
                data = data._replace(history=Path(name), past=compared_from(Path(name), step.since, step.until))
            limits = Limits()
            shadow = self._shadow(limits) if step.live else no_shadow
            report = gate(self.registry, step.version, data, limits, shadow)
        self.registry.keep_report(step.version, msgspec.json.encode(report).decode())
        return Outcome("done", _said(report), step.version, report.passed, report.better)

    def _shadow(self, limits: Limits) -> Callable[[Model], Check]:
        return lambda model: agreement(model, live_scores(self.place, model.version), limits.alerts, model.budget)

    def _rates(self) -> Rates:
        file = self.settings.currency_rates
        return default_rates() if file is None else Rates.read(file)

    def _declared(self) -> Declared:
        return declaration(self.settings.extras_file)


def registration_of(work: Open) -> str:
    """By which the registry has one version of a training at most; another one where the journal was reset."""
    return f"watch-{work.id}-{work.time}"


def _said(report: Report) -> str:
    """The report in one line."""
    if not report.passed:
        return "refused: " + "; ".join(f"{check.name}: {check.figures}" for check in report.failed)
    quality = next((check.figures for check in report.checks if check.name == "quality"), "")
    return f"passed{', and better' * report.better}: {quality}"
