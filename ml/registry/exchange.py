"""A registered model as a folder, with its card, so that it moves from one registry to another."""

import shutil
from pathlib import Path
from typing import Final

import numpy as np
from mlflow.models import Model as StoredModel

from ml.arrays import Floats
from ml.model import Model
from ml.registry import serialization, unregistered
from ml.registry.model_card import card
from ml.registry.model_store import ModelRefused, ModelStore, RegistryError
from ml.registry.unregistered import Unregistered

CARD: Final = "CARD.md"


def export(registry: ModelStore, version: int, folder: Path) -> Model:
    """Write a version to a folder that is not there yet, whole or not at all: its files as they are, and its card.

    Raises `ModelRefused` where it must not judge, `RegistryError` where the folder can't be written.
    """
    try:
        if folder.exists() or folder.is_symlink():
            raise RegistryError(f"{folder} is there already: name a folder that is not")
        unfinished = folder.with_name(f".{folder.name}.unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        with registry.stored(version, extras=None) as (model, files):
            shutil.copytree(files, unfinished)
            example = _example(files, model)
        known = registry.training(version)
        trained = Unregistered(model, example, dict(known.params), dict(known.metrics))
        unregistered.write_training(trained, unfinished, model.digest)
        text = card(model, known.params, known.metrics, registry.report(version))
        (unfinished / CARD).write_text(text, encoding="utf-8")
        unfinished.rename(folder)
    except OSError as error:
        raise RegistryError(f"version {version} can't be written to {folder}: {error}") from error
    return model


def imported(registry: ModelStore, folder: Path) -> Model:
    """Register what `export` wrote, as the newest version; returns it under its version. Raises `ModelRefused`.

    The same files give the same judgement, bit for bit. Params and metrics of its training come along.
    """
    trained = unregistered.read(folder, registry.name)
    digest = serialization.digest_when_stored(trained.model)
    if digest != trained.model.digest:
        raise ModelRefused(
            f"its files are {trained.model.digest}, but what they hold is stored as {digest}: a file was added or changed, or "
            "another release wrote them"
        )
    params = {name: value for name, value in trained.params.items() if name not in ("budget", "features")}
    metrics = {name: value for name, value in trained.metrics.items() if name != "threshold"}
    model = registry.register(trained.model, trained.example, {**params, "imported_from": str(folder)}, metrics)
    if model.digest != trained.model.digest:
        raise ModelRefused(
            f"version {model.version} is registered as {model.digest}, but {folder} is {trained.model.digest}"
        )
    return model


def _example(files: Path, model: Model) -> Floats:
    """The rows that were stored with a model; what is usual where there are none."""
    try:
        example = StoredModel.load(str(files)).load_input_example(str(files))
        rows = np.asarray(example, np.float64)
    except Exception:  # noqa: BLE001  # whatever the parser raises: an example judges nothing
        return model.usual.T.copy()
    return rows if rows.ndim == 2 and rows.shape[1] == len(model.features) else model.usual.T.copy()
