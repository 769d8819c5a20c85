"""A stored model as one file: what a job keeps beside its checkpoint, so that it does not depend on the registry.

A zip archive of the files that a model is stored in, without compression, and of where it came from. As with those
files, reading it runs no code; what comes out is checked by `ml.registry.serialization.read` as any model is.
"""

import io
import tempfile
import zipfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import msgspec

from ml.model import Model, Origin
from ml.registry import serialization
from ml.registry.refusals import ModelRefused

_LARGEST_BYTES: Final = 1 << 30
_CALLED: Final = "called.json"
_DESCRIPTION: Final = "MLmodel"


class Called(msgspec.Struct, frozen=True):
    """What people call a packed model, and where it came from."""

    name: str
    version: int
    origin: Origin


def pack(folder: Path, model: Model) -> bytes:
    """The archive of a model that was read from this folder. The same files give the same bytes."""
    names = [
        _DESCRIPTION,
        *(f"{serialization.ARRAYS}/{file.name}" for file in sorted((folder / serialization.ARRAYS).iterdir())),
    ]
    called = Called(model.name, model.version, model.origin)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name in names:
            archive.writestr(zipfile.ZipInfo(name), (folder / name).read_bytes())
        archive.writestr(zipfile.ZipInfo(_CALLED), msgspec.json.encode(called))
    return packed.getvalue()


def unpack(packed: bytes, digest: str, features: Sequence[str], extras: Sequence[str] = ()) -> Model:
    """The model in an archive, which may judge by these features and these extras.

    Raises `ModelRefused` where it is damaged, or not the model of this digest.
    """
    with tempfile.TemporaryDirectory(prefix="scoreline-model-") as temporary:
        try:
            called = _extracted(packed, Path(temporary))
        except MemoryError:
            raise
        except Exception as error:  # whatever error the archive or a decompressor raises, the file is damaged
            raise ModelRefused(f"the kept file is damaged: {str(error) or type(error).__name__}") from error
        model = serialization.read(Path(temporary), called.name, called.version, features, extras)
    if model.digest != digest:
        raise ModelRefused(f"what is kept as the model {digest} is another one, {model.digest}: damaged, or replaced")
    return replace(model, origin=called.origin)


def _extracted(packed: bytes, folder: Path) -> Called:
    """The files into the folder, each under the only names that a model has."""
    (folder / serialization.ARRAYS).mkdir(parents=True)
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        size = sum(entry.file_size for entry in archive.infolist())
        if size > _LARGEST_BYTES:
            raise ValueError(f"a model has at most {_LARGEST_BYTES:,} bytes, but this one unpacks to {size:,}")
        for name in archive.namelist():
            place = Path(name)
            if name == _DESCRIPTION or (place.parent == Path(serialization.ARRAYS) and place.name not in ("", "..")):
                (folder / place).write_bytes(archive.read(name))
        return msgspec.json.decode(archive.read(_CALLED), type=Called)
