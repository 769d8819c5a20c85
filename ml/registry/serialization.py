"""The form of a model in the registry: an MLflow model folder that holds a scorer's arrays and what judges by them.

Reading it runs no code from it: MLflow gets the name of a module here as its loader, and our own reader ignores
that. The scorers check that the arrays are valid trees; that the model
still gives the scores that it gave when it was stored is checked here.
"""

import hashlib
import json
import math
import tempfile
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
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
from ml.features.state_schema import FOLD_VERSION
from ml.model import Model
from ml.registry.tracking import RegistryError
from ml.schema import EXTRA_PREFIX
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
_EXAMPLE_ROWS: Final = 5
_SCORE_TOLERANCE: Final = 1e-9


class ModelRefused(RegistryError):
    """A registered model that must not judge anything; the text says why."""


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


@contextmanager
def _parts(model: Model, example: Floats) -> Iterator[tuple[dict[str, Any], str]]:
    """What MLflow stores: arrays, signature, input example and, as metadata, all that judging takes; and the digest."""
    columns = list(model.features)
    inputs: list[ColSpec | TensorSpec] = [ColSpec("double", name) for name in columns]
    outputs: list[ColSpec | TensorSpec] = [ColSpec("double", "anomaly_score"), ColSpec("boolean", "is_anomaly")]
    metadata = _metadata(model)
    with tempfile.TemporaryDirectory(prefix="scoreline-model-") as temporary:
        folder = Path(temporary, _FOLDER)
        folder.mkdir()
        write_scorer(model.scorer, folder / _FILE)
        (folder / _JUDGING).write_bytes(msgspec.json.encode(model.threshold))
        if model.reference is not None:
            (folder / _REFERENCE).write_bytes(msgspec.json.encode(model.reference))
        yield (
            {
                "loader_module": __name__,
                "data_path": str(folder),
                "signature": ModelSignature(Schema(inputs), Schema(outputs)),
                "input_example": pd.DataFrame(example[:_EXAMPLE_ROWS], columns=columns),
                "metadata": metadata,
                "pip_requirements": [f"{name}=={installed(name)}" for name in ("numpy", "numba", "pandas")],
            },
            _digest(folder, metadata),
        )


def _digest(arrays: Path, metadata: Mapping[str, Any]) -> str:
    """SHA-256 (64 hexadecimal digits) of all that a model judges by: its files, and its metadata in one canonical form.

    What MLflow adds (ids, times, its own version) does not count: the same model has the same digest in any registry.
    """
    files = {
        file.relative_to(arrays).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in arrays.rglob("*")
        if file.is_file()
    }
    judging = {name: metadata[name] for name in Metadata.__struct_fields__ if name in metadata}
    return hashlib.sha256(json.dumps({"files": files, "metadata": judging}, sort_keys=True).encode()).hexdigest()


class Metadata(msgspec.Struct):
    """What is stored with a scorer, as MLflow's model metadata. Earlier releases ignore what they do not know of it.

    extras: of those among the features, by name, what an unknown one becomes. Left out where there is none, as is
    decline_threshold.
    """

    threshold: float
    budget: float
    features: list[str]
    usual: list[tuple[float, float, float]]
    probe_scores: list[float]
    fold_version: int = 1
    extras: dict[str, float] = {}
    decline_threshold: float | None = None

    @property
    def names(self) -> list[str]:
        """The features, extras by their own name; earlier releases called them as the columns of a history."""
        return [name.removeprefix(EXTRA_PREFIX) for name in self.features]

    @property
    def unknown(self) -> dict[str, float]:
        """What an unknown extra becomes, by name; earlier releases kept training's median alone."""
        before = {
            name.removeprefix(EXTRA_PREFIX): usual[1]
            for name, usual in zip(self.features, self.usual, strict=False)
            if name.startswith(EXTRA_PREFIX)
        }
        return before | self.extras


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
    _refuse_other_fold(metadata)
    threshold = msgspec.json.decode(Path(folder, _JUDGING).read_bytes(), type=float)
    return _Served(read_scorer(Path(folder, _FILE)), threshold, metadata)


def _metadata(model: Model) -> dict[str, Any]:
    probe_scores = model.anomaly_score(_probe(model.usual)).tolist()
    metadata = Metadata(
        model.threshold, model.budget, list(model.features), model.usual.tolist(), probe_scores, FOLD_VERSION
    )
    optional = {"extras": dict(model.extras), "decline_threshold": model.decline_threshold}
    required = {name: value for name, value in msgspec.structs.asdict(metadata).items() if name not in optional}
    return required | {name: value for name, value in optional.items() if value not in (None, {})}


def _probe(usual: Floats) -> Floats:
    """Four rows that any model can be tried on: the low ends of the usual ranges, the middles, the high ends, far outside."""
    low, _, high = usual.T
    return np.stack([low, (low + high) / 2, high, high + 10 * (1 + high - low)])


def read(folder: Path, name: str, version: int, features: Sequence[str], extras: Sequence[str] | None = ()) -> Model:
    """The model in a folder that `log` or `save` made; it may judge by any of these features, in any order, and by any of
    these extras, with None by all.

    Raises `ModelRefused` where a file is missing or damaged, where it needs other features, where it lacks a
    threshold, or where it does not score as it did when it was stored.
    """
    metadata, digest = _read_metadata(folder)
    _refuse_other_fold(metadata)
    _refuse_unknown_features(metadata, features, extras)
    usual = np.array(metadata.usual, np.float64)
    _refuse_unless(
        len(usual) == len(metadata.features) and bool(np.isfinite(usual).all()),
        "its usual ranges are not finite, or too few",
    )
    _refuse_unless(0 <= metadata.threshold < 1, f"its threshold is {metadata.threshold}, not between 0 and 1")
    decline = metadata.decline_threshold
    _refuse_unless(
        decline is None or metadata.threshold <= decline < 1,
        f"its decline threshold is {decline}, not between its threshold and 1",
    )
    scorer = _read_scorer(folder / PLACE)
    reference = _read_reference(folder / PLACE, metadata.threshold)
    judged_by = metadata.threshold, tuple(metadata.names), usual, metadata.budget, reference
    model = Model(name, version, scorer, *judged_by, digest, extras=metadata.unknown, decline_threshold=decline)
    _refuse_other_scores(model, metadata.probe_scores)
    return model


def _refuse_unless(holds: bool, reason: str) -> None:
    if not holds:
        raise ModelRefused(reason)


def _read_metadata(folder: Path) -> tuple[Metadata, str]:
    try:
        metadata = StoredModel.load(str(folder)).metadata or {}
        return msgspec.convert(metadata, Metadata), _digest(folder / ARRAYS, metadata)
    except msgspec.ValidationError as error:
        raise ModelRefused(f"its metadata is not what `python -m ml train` stores: {error}") from error
    except Exception as error:  # whatever error the parser raises, the file is damaged
        raise ModelRefused(f"its file MLmodel can't be read: {_first_line(error)}") from error


def _refuse_other_fold(metadata: Metadata) -> None:
    _refuse_unless(
        metadata.fold_version == FOLD_VERSION,
        f"it was trained on features of fold version {metadata.fold_version}, and here they are of {FOLD_VERSION}: the same "
        "names mean something else; train one with `make train`",
    )


def _refuse_unknown_features(metadata: Metadata, known: Sequence[str], extras: Sequence[str] | None) -> None:
    needed = set(metadata.unknown)
    _refuse_unless(
        extras is None or needed <= set(extras),
        f"it judges by extras that are not declared ({_listed(needed.difference(extras or ()))}): declare them (--extras-file, "
        "or SCORELINE_EXTRAS_FILE; docs/replay.md), or train one without them, with `python -m ml train --no-extras`",
    )
    came, unknown = metadata.names, set(metadata.names) - {*known, *needed}
    _refuse_unless(
        not unknown, f"it needs features that are not computed here ({_listed(unknown)}): train one with `make train`"
    )
    _refuse_unless(0 < len(came) == len(set(came)), "it names no feature, or the same one twice")
    finite = all(map(math.isfinite, metadata.unknown.values()))
    _refuse_unless(needed <= set(came) and finite, "what it takes for unknown extras is not finite, or of other extras")


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))


def _read_scorer(file: Path) -> Scorer:
    try:
        return read_scorer(file)
    except Exception as error:  # as above
        raise ModelRefused(f"its file {file.name} can't be read: {_first_line(error)}") from error


def _read_reference(scorer: Path, threshold: float) -> Reference | None:
    """What adaptive thresholds begin with, beside the scorer's arrays; models of earlier releases have none."""
    file = scorer.with_name(_REFERENCE)
    if not file.exists():
        return None
    try:
        reference = msgspec.json.decode(file.read_bytes(), type=Reference)
    except ValueError as error:  # text that is not UTF-8 too
        raise ModelRefused(f"its file {file.name} can't be read: {_first_line(error)}") from error
    _refuse_unless(reference.grid.own == threshold, f"its file {file.name} is of another model")
    return reference


def _refuse_other_scores(model: Model, stored: Sequence[float]) -> None:
    try:
        scores = model.anomaly_score(_probe(model.usual))
    except Exception as error:  # as above
        raise ModelRefused(f"it can't score: {_first_line(error)}") from error
    _refuse_unless(bool(np.isfinite(scores).all()), "its scores are not finite")
    _refuse_unless(bool(((scores >= 0) & (scores <= 1)).all()), f"its scores are outside [0, 1]: {scores.tolist()}")
    _refuse_unless(
        len(stored) == len(scores) and np.allclose(scores, stored, rtol=0, atol=_SCORE_TOLERANCE),
        "it does not score as it did when it was registered: its arrays are damaged, or of another model",
    )


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
