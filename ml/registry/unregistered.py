"""A trained model on disk that is not registered yet, so that minutes of training do not depend on the registry."""

import shlex
import shutil
import tempfile
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Final, NamedTuple

import msgspec
import numpy as np

from ml.arrays import Floats
from ml.features.available import available
from ml.model import Model
from ml.registry import serialization
from ml.registry.model_store import ModelRefused, ModelStore, RegistryError
from ml.registry.refusals import refuse_no_files, refuse_unless

_TRAINING: Final = "training.json"
_EXAMPLE_ROWS: Final = 5


class _Training(msgspec.Struct):
    params: dict[str, str]
    metrics: dict[str, float]
    example: list[list[float]]
    registration: str = ""
    digest: str = ""


class Unregistered(NamedTuple):
    """All that `ml.registry.model_store.ModelStore.register` takes. example: rows of features (n, len(model.features)).

    registration: by which the registry has one version of it at most, however often it is registered.
    """

    model: Model
    example: Floats
    params: dict[str, object]
    metrics: dict[str, float]
    registration: str = ""


def keep(trained: Unregistered, parent: Path, now: datetime) -> Path:
    """Write it to a folder of its own, named by time and digest, whole or not at all. Raises OSError."""
    try:
        parent.mkdir(parents=True, exist_ok=True)
    except OSError:  # a folder that may not be written to: take another one, rather than lose the model
        parent = Path(tempfile.mkdtemp(prefix="scoreline-models-"))
    unfinished = parent / f".{now:%Y%m%d-%H%M%S}"
    shutil.rmtree(unfinished, ignore_errors=True)
    digest = serialization.save(trained.model, trained.example, unfinished)
    write_training(trained, unfinished, digest)
    return unfinished.rename(parent / f"{now:%Y%m%d-%H%M%S}-{digest[:8]}")


def write_training(trained: Unregistered, folder: Path, digest: str) -> None:
    """Write what is known of the training beside a model's files, and their digest. Raises OSError."""
    params = {name: str(value) for name, value in trained.params.items()}
    training = _Training(
        params, trained.metrics, trained.example[:_EXAMPLE_ROWS].tolist(), trained.registration, digest
    )
    (folder / _TRAINING).write_bytes(msgspec.json.encode(training))


def read(folder: Path, name: str) -> Unregistered:
    """What `keep` wrote, or any folder that holds a model; it is checked as any model is. Raises `ModelRefused`."""
    if not folder.is_dir():
        raise ModelRefused("there is no such folder")
    model = replace(serialization.read(folder, name, 0, available(), extras=None), name=name)
    file = folder / _TRAINING
    refuse_no_files(file)
    if not file.exists():
        return Unregistered(model, model.usual.T.copy(), {}, {})
    try:
        training = msgspec.json.decode(file.read_bytes(), type=_Training)
        example = np.array(training.example, np.float64)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise ModelRefused(f"its file {_TRAINING} can't be read: {error}") from error
    if example.ndim != 2 or example.shape[1] != len(model.features):
        raise ModelRefused(f"its file {_TRAINING} is another model's")
    refuse_unless(
        training.digest in ("", model.digest),
        f"its files are {model.digest}, but {training.digest} was written: one of them was changed since",
    )
    return Unregistered(model, example, dict(training.params), training.metrics, training.registration)


def register(registry: ModelStore, trained: Unregistered, parent: Path, now: datetime, promote: bool) -> Model:
    """Register what was trained; until that is done it is kept in a folder below `parent`, and stays there where it fails.

    Raises `RegistryError`, which names the command that registers it later.
    """
    folder = keep(trained, parent, now)
    try:
        model = registry.register(*trained)
    except (Exception, KeyboardInterrupt) as error:
        command = f"python -m ml register {shlex.quote(str(folder))}{' --promote' * promote}"
        why = error if isinstance(error, RegistryError) else f"{type(error).__name__} {error}".strip()
        raise RegistryError(
            f"the model is trained, but not registered: {why}. It is kept; register it with `{command}`"
        ) from error
    shutil.rmtree(folder, ignore_errors=True)
    return model
