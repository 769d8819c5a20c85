"""Why a registered model must not judge: each reason, and the check that finds it."""

import math
import stat
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from mlflow.entities.model_registry import ModelVersion

from ml.features.state_schema import FOLD_VERSION
from ml.model import Model
from ml.registry.metadata import Metadata, probe
from ml.registry.tracking import RegistryError

_LARGEST_BYTES: Final = 1 << 30
_SCORE_TOLERANCE: Final = 1e-9


class ModelRefused(RegistryError):
    """A registered model that must not judge anything; the text says why."""


class NotReady(RegistryError):
    """The registry has not finished registering a version, so that it may be loaded later."""


def refuse_unless(holds: bool, reason: str) -> None:
    """Raise `ModelRefused` with the reason where a condition does not hold."""
    if not holds:
        raise ModelRefused(reason)


def refuse_no_files(*files: Path) -> None:
    """Raise `ModelRefused` where one of these is there and no file, which a reader could wait for for ever, or is too large."""
    for file in files:
        try:
            found = file.stat()
        except FileNotFoundError:
            refuse_unless(not file.is_symlink(), f"its file {file.name} can't be read: it links to nothing")
            continue
        except OSError as error:
            raise ModelRefused(f"its file {file.name} can't be read: {error.strerror}") from error
        refuse_unless(stat.S_ISREG(found.st_mode), f"its file {file.name} can't be read: it is no file")
        refuse_unless(
            found.st_size <= _LARGEST_BYTES,
            f"its file {file.name} can't be read: it has {found.st_size:,} bytes, at most {_LARGEST_BYTES:,} are taken",
        )


def refuse_unfinished(version: ModelVersion) -> None:
    """Raise `NotReady` for a version that is still being registered, `ModelRefused` for one that never will be."""
    if version.status == "PENDING_REGISTRATION":
        raise NotReady("it is still being registered; once that is finished the version can be used")
    if version.status == "FAILED_REGISTRATION":
        raise ModelRefused(f"its registration failed: {version.status_message or 'the registry does not say why'}")


def refuse_other_fold(metadata: Metadata) -> None:
    """Raise `ModelRefused` where a model was trained on features that mean something else here."""
    refuse_unless(
        metadata.fold_version == FOLD_VERSION,
        f"it was trained on features of fold version {metadata.fold_version}, and here they are of {FOLD_VERSION}: the same "
        "names mean something else; train one with `make train`",
    )


def refuse_unknown_features(metadata: Metadata, known: Sequence[str], extras: Sequence[str] | None) -> None:
    """Raise `ModelRefused` where a model needs features or extras beside these; extras None: it may have any."""
    needed = set(metadata.unknown)
    refuse_unless(
        extras is None or needed <= set(extras),
        f"it judges by extras that are not declared ({_listed(needed.difference(extras or ()))}): declare them (--extras-file, "
        "or SCORELINE_EXTRAS_FILE; docs/replay.md), or train one without them, with `python -m ml train --no-extras`",
    )
    came, unknown = metadata.names, set(metadata.names) - {*known, *needed}
    refuse_unless(
        not unknown, f"it needs features that are not computed here ({_listed(unknown)}): train one with `make train`"
    )
    refuse_unless(0 < len(came) == len(set(came)), "it names no feature, or the same one twice")
    finite = all(map(math.isfinite, metadata.unknown.values()))
    refuse_unless(needed <= set(came) and finite, "what it takes for unknown extras is not finite, or of other extras")


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))


def refuse_other_scores(model: Model, stored: Sequence[float]) -> None:
    """Raise `ModelRefused` where a model does not give its probe the scores that were stored with it."""
    try:
        scores = model.anomaly_score(probe(model.usual))
    except Exception as error:  # whatever error damaged arrays raise, the model can't score
        raise ModelRefused(f"it can't score: {first_line(error)}") from error
    refuse_unless(bool(np.isfinite(scores).all()), "its scores are not finite")
    refuse_unless(bool(((scores >= 0) & (scores <= 1)).all()), f"its scores are outside [0, 1]: {scores.tolist()}")
    refuse_unless(
        len(stored) == len(scores) and np.allclose(scores, stored, rtol=0, atol=_SCORE_TOLERANCE),
        "it does not score as it did when it was registered: its arrays are damaged, or of another model",
    )


def first_line(error: Exception) -> str:
    """An error's first line, or its name where it says nothing."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
