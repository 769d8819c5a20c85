"""The form of a model in the registry: an MLflow model folder that holds a scikit-learn pipeline and what judges by it.

The pipeline is stored by skops, which unlike pickle runs no code when it is loaded. What skops leaves open, that a forest's
nodes point outside the forest, is checked here; so is that the model still gives the scores that it gave when it was stored.
"""

from collections.abc import Iterable, Sequence
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any, Final

import mlflow.sklearn
import msgspec
import numpy as np
import pandas as pd
import skops.io  # type: ignore[import-untyped]
from mlflow.models import Model as StoredModel
from mlflow.models import ModelSignature
from mlflow.models.model import ModelInfo
from mlflow.types import ColSpec, Schema
from sklearn.ensemble import IsolationForest
from sklearn.pipeline import Pipeline

from ml.model import Floats, Model, forest_of, with_threshold
from ml.tracking import RegistryError

TRUSTED: Final = ["sklearn.tree._tree.Tree"]
"""What skops may make besides what it trusts by itself. This list counts, not the one that a stored model brings along."""

FILE: Final = "model.skops"
_EXAMPLE_ROWS: Final = 5
_SCORE_TOLERANCE: Final = 1e-9


class ModelRefused(RegistryError):
    """A registered model that must not judge anything; the text says why."""


def log(model: Model, example: Floats) -> ModelInfo:
    """Store a model in the active MLflow run, with signature, input example and, as metadata, all that judging takes."""
    columns = list(model.features)
    info: ModelInfo = mlflow.sklearn.log_model(
        with_threshold(model.pipeline, model.threshold),
        name="model",
        serialization_format="skops",
        skops_trusted_types=TRUSTED,
        signature=ModelSignature(Schema([ColSpec("double", name) for name in columns]), Schema([ColSpec("long")])),
        input_example=pd.DataFrame(example[:_EXAMPLE_ROWS], columns=columns),
        metadata=_metadata(model),
        pip_requirements=[f"{name}=={installed(name)}" for name in ("scikit-learn", "skops", "pandas", "numpy")],
    )
    return info


class Metadata(msgspec.Struct):
    """What is stored with a pipeline, as MLflow's model metadata."""

    threshold: float
    budget: float
    features: list[str]
    usual: list[tuple[float, float]]
    probe_scores: list[float]


def _metadata(model: Model) -> dict[str, Any]:
    probe_scores = model.anomaly_score(_probe(model.usual)).tolist()
    metadata = Metadata(model.threshold, model.budget, list(model.features), model.usual.tolist(), probe_scores)
    return msgspec.structs.asdict(metadata)


def _probe(usual: Floats) -> Floats:
    """Four rows that any model can be tried on: the low ends of the usual ranges, the middles, the high ends, far outside."""
    low, high = usual.T
    return np.stack([low, (low + high) / 2, high, high + 10 * (1 + high - low)])


def read(folder: Path, name: str, version: int, features: Sequence[str]) -> Model:
    """The model in a folder that `log` made; it must judge by exactly these features.

    Raises `ModelRefused` where a file is missing or damaged, where it was trained on other features, where it lacks a
    threshold, or where it does not score as it did when it was stored.
    """
    metadata = _read_metadata(folder)
    _refuse_other_features(metadata.features, features)
    usual = np.array(metadata.usual, np.float64)
    _refuse_unless(
        len(usual) == len(features) and bool(np.isfinite(usual).all()), "its usual ranges are not finite, or too few"
    )
    _refuse_unless(0 < metadata.threshold < 1, f"its threshold is {metadata.threshold}, not between 0 and 1")
    pipeline = _read_pipeline(folder / FILE, len(features))
    model = Model(name, version, pipeline, metadata.threshold, tuple(features), usual, metadata.budget)
    _refuse_other_scores(model, metadata.probe_scores)
    return model


def _refuse_unless(holds: bool, reason: str) -> None:
    if not holds:
        raise ModelRefused(reason)


def _read_metadata(folder: Path) -> Metadata:
    try:
        return msgspec.convert(StoredModel.load(str(folder)).metadata, Metadata)
    except msgspec.ValidationError as error:
        raise ModelRefused(f"its metadata is not what `python -m ml train` stores: {error}") from error
    except Exception as error:  # whatever a damaged file makes of the parser, it is a damaged file
        raise ModelRefused(f"its file MLmodel can't be read: {_first_line(error)}") from error


def _refuse_other_features(came: Sequence[str], required: Sequence[str]) -> None:
    if list(came) == list(required):
        return
    lacking, unknown = _listed(set(required) - set(came)), _listed(set(came) - set(required))
    difference = f"it lacks {lacking} and has {unknown} beyond" if lacking or unknown else "they are in another order"
    raise ModelRefused(
        f"it was trained on other features than are computed here: {difference}; train one with `make train`"
    )


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))


def _read_pipeline(file: Path, features: int) -> Pipeline:
    try:
        pipeline = skops.io.load(file, trusted=TRUSTED)
        forest = forest_of(pipeline)
        sound = isinstance(pipeline, Pipeline) and isinstance(forest, IsolationForest) and _is_sound(forest, features)
    except Exception as error:  # as above
        raise ModelRefused(f"its file {file.name} can't be read: {_first_line(error)}") from error
    _refuse_unless(sound, f"its file {file.name} does not hold a sound Isolation Forest over {features} features")
    return pipeline


def _is_sound(forest: IsolationForest, features: int) -> bool:
    """Whether every path down every tree ends: scikit-learn follows a tree's indices without a look at its bounds."""
    for estimator, columns in zip(forest.estimators_, forest.estimators_features_, strict=True):
        tree = estimator.tree_
        node = np.arange(tree.node_count)
        inner = tree.children_left != -1
        children = np.stack([tree.children_left, tree.children_right])[:, inner]
        ends = (children > node[inner]).all() and (children < tree.node_count).all()
        known = (tree.feature[inner] >= 0).all() and (tree.feature[inner] < len(columns)).all()
        if not (ends and known and len(columns) == features and (columns >= 0).all() and (columns < features).all()):
            return False
    return True


def _refuse_other_scores(model: Model, stored: Sequence[float]) -> None:
    try:
        scores = model.anomaly_score(_probe(model.usual))
    except Exception as error:  # as above
        raise ModelRefused(f"it can't score: {_first_line(error)}") from error
    _refuse_unless(bool(np.isfinite(scores).all()), "its scores are not finite")
    _refuse_unless(bool(((scores > 0) & (scores < 1)).all()), f"its scores are outside (0, 1): {scores.tolist()}")
    _refuse_unless(
        len(stored) == len(scores) and np.allclose(scores, stored, rtol=0, atol=_SCORE_TOLERANCE),
        "it does not score as it did when it was registered: its forest is damaged, or scikit-learn's version is another",
    )


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
