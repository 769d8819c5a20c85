"""The form of a model in the registry: an MLflow model folder that holds a scorer's arrays and what judges by them.

Reading it runs no code from it: MLflow gets the name of a module here as its loader, and our own reader ignores
that. The scorers check that the arrays are valid trees, and `ml.registry.refusals` that the model still gives the scores
that it gave when it was stored.
"""

import tempfile
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any, Final

import mlflow
import msgspec
import numpy as np
import pandas as pd
from mlflow.models import Model as StoredModel
from mlflow.models import ModelSignature
from mlflow.models.model import ModelInfo
from mlflow.types import ColSpec, Schema, TensorSpec

from ml.arrays import Floats
from ml.features.extras import filled
from ml.model import Model
from ml.registry.metadata import Metadata, digest_of, metadata_of
from ml.registry.refusals import (
    ModelRefused,
    first_line,
    refuse_no_files,
    refuse_other_fold,
    refuse_other_scores,
    refuse_unknown_features,
    refuse_unless,
)
from ml.scorers.scorer import Scorer
from ml.scorers.serialization import read as read_scorer
from ml.scorers.serialization import write as write_scorer
from ml.thresholds.reference import Reference

_FILE: Final = "scorer.npz"
_FOLDER: Final = "arrays"
ARRAYS: Final = f"data/{_FOLDER}"
"""Of the files that judge, in a model's folder."""

PLACE: Final = f"{ARRAYS}/{_FILE}"
"""Of the scorer's arrays, in a model's folder."""

_JUDGING: Final = "threshold.json"
_REFERENCE: Final = "reference.json"
_DRIFT: Final = "drift.json"
_DESCRIPTION: Final = "MLmodel"
_EXAMPLE_ROWS: Final = 5


def log(model: Model, example: Floats) -> tuple[ModelInfo, str]:
    """Store a model in the active MLflow run; returns MLflow's description of it, and the model's digest."""
    with _parts(model, example) as (parts, digest):
        info: ModelInfo = mlflow.pyfunc.log_model(name="model", **parts)
    return info, digest


def save(model: Model, example: Floats, folder: Path) -> str:
    """Store a model in a folder that is not there yet, in the same form; returns its digest."""
    with _parts(model, example) as (parts, digest), warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*Any type hint", UserWarning)  # from MLflow's import of its own modules
        mlflow.pyfunc.save_model(path=str(folder), **parts)
    return digest


def digest_when_stored(model: Model) -> str:
    """The digest that a model has once it is stored; another one than that of its files where these hold anything else."""
    with _parts(model, model.usual.T) as (_, digest):
        return digest


@contextmanager
def _parts(model: Model, example: Floats) -> Iterator[tuple[dict[str, Any], str]]:
    """What MLflow stores: arrays, signature, input example and, as metadata, all that judging takes; and the digest."""
    columns = list(model.features)
    inputs: list[ColSpec | TensorSpec] = [ColSpec("double", name) for name in columns]
    outputs: list[ColSpec | TensorSpec] = [ColSpec("double", "anomaly_score"), ColSpec("boolean", "is_anomaly")]
    metadata = metadata_of(model)
    with tempfile.TemporaryDirectory(prefix="scoreline-model-") as temporary:
        folder = Path(temporary, _FOLDER)
        folder.mkdir()
        write_scorer(model.scorer, folder / _FILE)
        (folder / _JUDGING).write_bytes(msgspec.json.encode(model.threshold))
        if model.reference is not None:
            (folder / _REFERENCE).write_bytes(msgspec.json.encode(model.reference))
        if model.drift_reference:
            (folder / _DRIFT).write_bytes(model.drift_reference)
        yield (
            {
                "loader_module": __name__,
                "data_path": str(folder),
                "signature": ModelSignature(Schema(inputs), Schema(outputs)),
                "input_example": pd.DataFrame(example[:_EXAMPLE_ROWS], columns=columns),
                "metadata": metadata,
                "pip_requirements": [f"{name}=={installed(name)}" for name in ("numpy", "numba", "pandas")],
            },
            digest_of(folder, metadata),
        )


class _Served:
    """What MLflow serves: a table of features → a table of anomaly_score and is_anomaly."""

    def __init__(self, scorer: Scorer, threshold: float, metadata: Metadata) -> None:
        self._scorer, self._threshold, self._metadata = scorer, threshold, metadata

    def predict(self, table: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        features = filled(table.to_numpy(np.float64), self._metadata.names, self._metadata.unknown)
        scores = self._scorer.anomaly_score(features)
        return pd.DataFrame({"anomaly_score": scores, "is_anomaly": scores > self._threshold})


def _load_pyfunc(folder: str) -> _Served:
    """MLflow calls this to serve a stored model, where Scoreline is installed; folder: ARRAYS of the model's own.

    Raises `ModelRefused` where it was trained on features that mean something else here.
    """
    metadata, _ = _read_metadata(Path(folder).parents[1])
    refuse_other_fold(metadata)
    threshold = msgspec.json.decode(Path(folder, _JUDGING).read_bytes(), type=float)
    return _Served(read_scorer(Path(folder, _FILE)), threshold, metadata)


def read(folder: Path, name: str, version: int, features: Sequence[str], extras: Sequence[str] | None = ()) -> Model:
    """The model in a folder that `log` or `save` made; it may judge by any of these features, in any order, and by any of
    these extras, with None by all.

    Raises `ModelRefused` where a file is missing or damaged, where it needs other features, where it lacks a
    threshold, or where it does not score as it did when it was stored.
    """
    refuse_no_files(folder / _DESCRIPTION, *_inside(folder / ARRAYS))
    metadata, digest = _read_metadata(folder)
    refuse_other_fold(metadata)
    refuse_unknown_features(metadata, features, extras)
    usual = np.array(metadata.usual, np.float64)
    refuse_unless(
        len(usual) == len(metadata.features) and bool(np.isfinite(usual).all()),
        "its usual ranges are not finite, or too few",
    )
    refuse_unless(0 <= metadata.threshold < 1, f"its threshold is {metadata.threshold}, not between 0 and 1")
    scorer = _read_scorer(folder / PLACE)
    decline = metadata.decline_threshold
    refuse_unless(
        decline is None or metadata.threshold <= decline < 1,
        f"its decline threshold is {decline}, not between its threshold and 1",
    )
    reference = _read_reference(folder / PLACE, metadata.threshold)
    judged_by = metadata.threshold, tuple(metadata.names), usual, metadata.budget, reference
    drift = folder / ARRAYS / _DRIFT
    model = Model(
        name,
        version,
        scorer,
        *judged_by,
        digest,
        extras=metadata.unknown,
        decline_threshold=decline,
        drift_reference=drift.read_bytes() if drift.exists() else b"",
    )
    refuse_other_scores(model, metadata.probe_scores)
    return model


def _inside(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []


def _read_metadata(folder: Path) -> tuple[Metadata, str]:
    try:
        metadata = StoredModel.load(str(folder)).metadata or {}
        return msgspec.convert(metadata, Metadata), digest_of(folder / ARRAYS, metadata)
    except msgspec.ValidationError as error:
        raise ModelRefused(f"its metadata is not what `python -m ml train` stores: {error}") from error
    except Exception as error:  # whatever error the parser raises, the file is damaged
        raise ModelRefused(f"its file MLmodel can't be read: {first_line(error)}") from error


def _read_scorer(file: Path) -> Scorer:
    try:
        return read_scorer(file)
    except Exception as error:  # whatever error the parser raises, the file is damaged
        raise ModelRefused(f"its file {file.name} can't be read: {first_line(error)}") from error


def _read_reference(scorer: Path, threshold: float) -> Reference | None:
    """What adaptive thresholds begin with, beside the scorer's arrays; models of earlier releases have none."""
    file = scorer.with_name(_REFERENCE)
    if not file.exists():
        return None
    try:
        reference = msgspec.json.decode(file.read_bytes(), type=Reference)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:  # text that is not UTF-8 too
        raise ModelRefused(f"its file {file.name} can't be read: {first_line(error)}") from error
    refuse_unless(reference.grid.own == threshold, f"its file {file.name} is of another model")
    return reference
