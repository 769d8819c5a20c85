"""The stored form of a scorer: named arrays in an .npz file, which, unlike a pickle, runs no code when it is read."""

import dataclasses
import zipfile
from pathlib import Path
from typing import Any, Final, get_type_hints

import numpy as np

from ml.scorers.combined import CombinedProbability
from ml.scorers.isolation import IsolationScore
from ml.scorers.probability import LinearProbability, TreesProbability, VotesProbability
from ml.scorers.scorer import Scorer
from ml.scorers.trees import Trees

KINDS: Final[dict[str, type[Any]]] = {
    "isolation": IsolationScore,
    "trees": TreesProbability,
    "votes": VotesProbability,
    "linear": LinearProbability,
    "combined": CombinedProbability,
}
_KIND: Final = "kind"
_LARGEST_BYTES: Final = 1 << 30

Arrays = dict[str, np.ndarray]


def write(scorer: Scorer, file: Path) -> None:
    """Write a scorer to a file."""
    with file.open("wb") as stream:
        np.savez_compressed(stream, allow_pickle=False, **_arrays(scorer))


def read(file: Path) -> Scorer:
    """The scorer in a file that `write` made.

    Raises OSError, ValueError, KeyError or zipfile.BadZipFile where the file is damaged, or is no scorer that is sound.
    """
    with zipfile.ZipFile(file) as archive:
        size = sum(entry.file_size for entry in archive.infolist())
        if size > _LARGEST_BYTES:
            raise ValueError(f"a scorer has at most {_LARGEST_BYTES:,} bytes, but this one unpacks to {size:,}")
    with np.load(file, allow_pickle=False) as stored:
        return _scorer({name: stored[name] for name in stored.files})


def _arrays(scorer: Any) -> Arrays:
    names = {kind: name for name, kind in KINDS.items()}
    arrays: Arrays = {_KIND: np.array(names[type(scorer)])} if type(scorer) in names else {}
    for field in dataclasses.fields(scorer):
        value = getattr(scorer, field.name)
        if isinstance(value, tuple):
            for k, member in enumerate(value):
                arrays |= _below(f"{field.name}.{k}", _arrays(member))
        elif isinstance(value, Trees):
            arrays |= _below(field.name, _arrays(value))
        else:
            arrays[field.name] = np.asarray(value)
    return arrays


def _below(prefix: str, arrays: Arrays) -> Arrays:
    return {f"{prefix}.{name}": array for name, array in arrays.items()}


def _inside(prefix: str, arrays: Arrays) -> Arrays:
    return {name.removeprefix(prefix + "."): a for name, a in arrays.items() if name.startswith(prefix + ".")}


def _scorer(arrays: Arrays) -> Scorer:
    kind = str(arrays[_KIND])
    if kind not in KINDS:
        raise ValueError(f"it is of the unknown kind {kind!r}; known are {', '.join(KINDS)}")
    made: Scorer = _made(KINDS[kind], arrays)
    return made


def _made(kind: type[Any], arrays: Arrays) -> Any:
    values: dict[str, Any] = {}
    for name, annotation in get_type_hints(kind).items():
        if annotation is Trees:
            values[name] = _made(Trees, _inside(name, arrays))
        elif annotation in (int, float):
            values[name] = annotation(arrays[name])
        elif name in arrays:
            values[name] = arrays[name]
        else:
            values[name] = _members(name, arrays)
    return kind(**values)


def _members(name: str, arrays: Arrays) -> tuple[Scorer, ...]:
    numbers = sorted({int(key.split(".")[1]) for key in arrays if key.startswith(f"{name}.")})
    if not numbers:
        raise KeyError(f"the array {name} is missing")
    return tuple(_scorer(_inside(f"{name}.{k}", arrays)) for k in numbers)
