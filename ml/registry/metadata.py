"""What is stored with a scorer's arrays, and the digest that names a model by all of its content."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from ml.arrays import Floats
from ml.features.state_schema import FOLD_VERSION
from ml.model import Model
from ml.schema import EXTRA_PREFIX


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


def metadata_of(model: Model) -> dict[str, Any]:
    """A model's `Metadata`, in the form in which MLflow keeps it."""
    probe_scores = model.anomaly_score(probe(model.usual)).tolist()
    metadata = Metadata(
        model.threshold, model.budget, list(model.features), model.usual.tolist(), probe_scores, FOLD_VERSION
    )
    optional = {"extras": dict(model.extras), "decline_threshold": model.decline_threshold}
    required = {name: value for name, value in msgspec.structs.asdict(metadata).items() if name not in optional}
    return required | {name: value for name, value in optional.items() if value not in (None, {})}


def probe(usual: Floats) -> Floats:
    """Four rows that any model can be tried on: the low ends of the usual ranges, the middles, the high ends, far outside."""
    low, _, high = usual.T
    return np.stack([low, (low + high) / 2, high, high + 10 * (1 + high - low)])


def digest_of(arrays: Path, metadata: Mapping[str, Any]) -> str:
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
