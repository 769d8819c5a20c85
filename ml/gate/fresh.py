"""Loads a version in a process of its own, as a job would that starts: what a long-lived process has in memory proves nothing.

The request comes as JSON on standard input, the answer goes to standard output; `ask` is the other side.
"""

import os
import subprocess
import sys
from typing import Final

import msgspec

from ml.model import Model
from ml.registry.metadata import probe
from ml.registry.model_store import ModelStore, RegistryError

_SECONDS: Final = 300.0


class _Request(msgspec.Struct):
    uri: str
    name: str
    alias: str
    extras: tuple[str, ...]
    version: int


class _Answer(msgspec.Struct):
    """scores: of the model's own probe; refusal: why it was not loaded, else ""."""

    digest: str = ""
    scores: list[float] = []
    refusal: str = ""


def ask(registry: ModelStore, model: Model) -> str:
    """Why a fresh process does not load a version as it was loaded here; "" where it does."""
    request = _Request(registry.uri, registry.name, registry.alias, registry.extras, model.version)
    try:
        ended = subprocess.run(
            [sys.executable, "-m", "ml.gate.fresh"],
            input=msgspec.json.encode(request),
            capture_output=True,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            timeout=_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"it is not loaded within {_SECONDS:.0f} s"
    if ended.returncode:
        said = ended.stderr.decode(errors="replace").strip().splitlines()
        return (
            f"the process that loads it ends with status {ended.returncode}: {said[-1] if said else 'it says nothing'}"
        )
    answer = msgspec.json.decode(ended.stdout, type=_Answer)
    if answer.refusal:
        return answer.refusal
    same = answer.digest == model.digest and answer.scores == model.anomaly_score(probe(model.usual)).tolist()
    return "" if same else "it gives its probe other scores there than here"


def _answer(request: _Request) -> _Answer:
    registry = ModelStore(request.uri, request.name, request.alias, request.extras)
    try:
        model = registry.load(request.version)
    except RegistryError as refusal:
        return _Answer(refusal=str(refusal))
    return _Answer(model.digest, model.anomaly_score(probe(model.usual)).tolist())


if __name__ == "__main__":
    found = _answer(msgspec.json.decode(sys.stdin.buffer.read(), type=_Request))
    sys.stdout.buffer.write(msgspec.json.encode(found))
