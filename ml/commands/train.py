"""Trains a model, or takes one that is kept in a folder, and registers it."""

import tempfile
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

import typer

from ml import console
from ml.commands import common
from ml.commands.champion import make_new_champion
from ml.commands.report import REPORT_FILE, labels_beside
from ml.data_report.page import page
from ml.data_report.summary import summarize
from ml.dataset.fingerprint import sha256
from ml.dataset.history import History, HistoryError
from ml.detectors import DEFAULT, DETECTORS
from ml.features.declared import Declared, undeclared
from ml.options import Extras, ExtrasFile, Profiles
from ml.registry import unregistered
from ml.registry.attachments import attach
from ml.registry.model_store import ModelRefused, ModelStore, RegistryError
from ml.registry.unregistered import Unregistered
from ml.thresholds.budget import DEFAULT_BUDGET
from ml.training.policy import Policy, labels_for
from ml.training.train import OUTSIDE, TrainingError, train

_UNREGISTERED: Final = Path(".scoreline/models")
"""Where a trained model is kept until it is registered."""


def train_command(
    history: Annotated[str, typer.Argument(help="Parquet or CSV file, or folder of them, sorted by event_time.")],
    detector: Annotated[str, typer.Option(help=f"One of {', '.join(DETECTORS)}.")] = DEFAULT,
    trials: Annotated[int, typer.Option(min=0, help="Sets of hyper-parameters to try; needs labels.")] = 0,
    promote: Annotated[bool, typer.Option("--promote", help="Make the new version the champion.")] = False,
    state_out: Annotated[
        str | None, typer.Option(help="Folder for the customers' folded past, for a job's first start.")
    ] = None,
    budget: Annotated[float, typer.Option(help="Share of the traffic that may become alerts.")] = DEFAULT_BUDGET,
    seed: Annotated[int, typer.Option(min=0, help="Seed of every random choice.")] = 0,
    extras: Extras = True,
    extras_file: ExtrasFile = None,
    report: Annotated[
        bool, typer.Option("--report/--no-report", help="Keep a page about the history with the run.")
    ] = True,
    profiles: Profiles = False,  # until it is measured what they cost a job
) -> None:
    """Train a detector on a history, and on the labels beside it where it learns from labels, and register it."""
    registry = common.registry()
    past = common.local(history, "HISTORY")
    state = None if state_out is None else common.local(state_out, "--state-out")
    policy = Policy(registry.name, detector, budget, seed, trials, profiles)
    opened, declared = common.opened(past, extras), common.declared(extras_file)
    _refuse_undeclared(opened.extras, declared, promote)
    registry.check()  # better now than after minutes of training
    labels = labels_for(policy, past)
    with common.bars() as bars:
        trained = train(opened, policy, labels, bars, declared)
    if state is not None:
        trained.customers.write(state / "customers.parquet", opened.rates.version)
        if trained.profiles is not None:
            trained.profiles.write(state)
    data = {"history": str(past.resolve()), "history_sha256": sha256(opened)}
    whole = Unregistered(trained.model, trained.example, {**trained.params, **data}, trained.metrics, uuid.uuid4().hex)
    parent = _UNREGISTERED if state is None else state.parent / "models"
    with common.err.status("registering"):
        model = unregistered.register(registry, whole, parent, datetime.now(UTC), promote)
    _report_outside(trained.metrics, declared)
    share = trained.metrics["alert_share_check_part"]
    common.out.print(
        f"version {model.version} of {model.name}, {detector}: threshold {model.threshold:.4f}; "
        f"flags {share:.2%} of the last tenth of {past}, with a budget of {budget:.2%}"
    )
    common.out.print(console.declines(trained.model.decline_threshold, trained.metrics))
    if promote:
        make_new_champion(registry, model.version)
    if report:
        _keep_report(registry, model.version, opened, past)


def _keep_report(registry: ModelStore, version: int, history: History, past: Path) -> None:
    """Make the page about the history, and keep it with the version's run. That it fails is no reason to end."""
    try:
        with common.bars() as bars:
            made = page(summarize(history, labels_beside(past), bars), past.name)
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / REPORT_FILE
            file.write_text(made, "utf-8")
            attach(registry, version, file)
    except (RegistryError, HistoryError, OSError) as error:
        common.err.print(f"warning: the page about {past} is not kept with version {version}: {error}", markup=False)


def register_command(
    folder: Annotated[str, typer.Argument(help="Folder of a trained model that could not be registered.")],
    promote: Annotated[bool, typer.Option("--promote", help="Make it the champion.")] = False,
    extras_file: ExtrasFile = None,
) -> None:
    """Register a model that `train` has kept because the registry was unavailable."""
    registry, place = common.registry(), common.local(folder, "FOLDER")
    try:
        trained = unregistered.read(place, registry.name)
    except ModelRefused as refusal:
        raise RegistryError(f"the model in {place} is not registered: {refusal}") from refusal
    _refuse_undeclared(list(trained.model.extras), common.declared(extras_file), promote)
    with common.err.status("registering"):
        model = registry.register(*trained)
    common.out.print(
        f"version {model.version} of {model.name}: threshold {model.threshold:.4f}; {place} is no longer needed"
    )
    if promote:
        make_new_champion(registry, model.version)


def _refuse_undeclared(extras: Sequence[str], declared: Declared, promote: bool) -> None:
    unknown = undeclared(declared, extras)
    if promote and unknown:
        first = ", ".join(unknown[:3]) + ", …" * (len(unknown) > 3)
        raise TrainingError(
            "--promote makes a model the champion of the running job, which reads declared extras alone, but "
            f"{len(unknown)} of the history's are not declared ({first}): declare them (--extras-file, or "
            "SCORELINE_EXTRAS_FILE; docs/replay.md), add --no-extras, or leave --promote out"
        )


def _report_outside(metrics: Mapping[str, float], declared: Declared) -> None:
    """Values of extras that count as unknown because they lie outside what is declared."""
    for extra in declared:
        if count := metrics.get(OUTSIDE + extra.name, 0.0):
            common.out.print(f"{count:,.0f} values of {extra.name} are not {extra.range}, and count as unknown")
