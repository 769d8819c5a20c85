"""A table of profiles as one file, which many processes of a machine can map into memory."""

import hashlib
import os
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

from ml.features.profile_schema import PROFILE_SET, SUMS
from ml.features.profiles import Profiles

_MAGIC: Final = b"scoreline profiles 1\n"
_PAGE: Final = 4096
_CHUNK: Final = 1 << 22


class ProfilesUnreadable(Exception):
    """A file is no table of profiles, not a whole one, or one of another profile set; the text says which file and why."""


class _Header(msgspec.Struct):
    profile_set: str
    block_seconds: int
    as_of: int
    entities: int
    parts: int
    digest: str


def write(profiles: Profiles, path: Path) -> str:
    """Write a table, complete or not at all, and return its digest, the SHA-256 of its content in hexadecimal.

    Entities that nothing is known of are left out: tables that say the same have the same bytes.
    """
    kept = profiles.pruned()
    arrays = _arrays(kept)
    digest = _digest(kept, arrays)
    header = _Header(PROFILE_SET, kept.block_seconds, kept.as_of, len(kept), len(kept.directory()) - 1, digest)
    begin = _MAGIC + msgspec.json.encode(header) + b"\n"
    if len(begin) > _PAGE:
        raise ValueError(f"a header of {len(begin)} bytes does not fit into {_PAGE}")
    unfinished = path.with_name(f"{path.name}.{os.getpid()}")
    with unfinished.open("wb") as file:
        file.write(begin.ljust(_PAGE, b"\0"))
        for array in arrays:
            file.write(array.data)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)
    return header.digest


def read(path: Path, *, mapped: bool = False, checked: bool = True) -> tuple[Profiles, str]:
    """A table and its digest, as `write` wrote it. mapped: its arrays stay in the file, read-only and shared by processes.

    checked: compare the content with its digest, which reads all of it once (0.2 s for a million entities). Raises
    `ProfilesUnreadable`.
    """
    try:
        with path.open("rb") as file:
            first = file.read(_PAGE)
        header = _header(first, path)
        profiles = _mapped(path, header)
    except (OSError, ValueError) as error:
        raise ProfilesUnreadable(f"{path} should be a table of profiles, but can't be read: {error}") from error
    if checked and _digest(profiles, _arrays(profiles)) != header.digest:
        raise ProfilesUnreadable(f"{path} is not what was written: its content does not have its digest")
    return (profiles if mapped else profiles.copy()), header.digest


def _header(first: bytes, path: Path) -> _Header:
    if not first.startswith(_MAGIC):
        raise ProfilesUnreadable(f"{path} should be a table of profiles, but does not begin like one")
    try:
        header = msgspec.json.decode(first[len(_MAGIC) :].split(b"\n", 1)[0], type=_Header)
    except msgspec.DecodeError as error:
        raise ProfilesUnreadable(f"{path} should be a table of profiles, but its header is none: {error}") from error
    if header.profile_set != PROFILE_SET:
        raise ProfilesUnreadable(f"{path} should have profiles of the set {PROFILE_SET}, not {header.profile_set!r}")
    return header


def _mapped(path: Path, header: _Header) -> Profiles:
    entities, width, place = header.entities, len(SUMS), _PAGE
    arrays = []
    for dtype, shape in (
        (np.int64, (width,)),
        (np.uint64, (entities,)),
        (np.int64, (entities, width)),
        (np.int32, (header.parts + 1,)),
    ):
        count = int(np.prod(shape))
        if count:
            arrays.append(np.memmap(path, dtype, "r", place, shape))
        else:
            arrays.append(np.zeros(shape, dtype))  # type: ignore[arg-type]  # nothing can't be mapped
        place += count * np.dtype(dtype).itemsize
    total, keys, sums, begins = (array.view(np.ndarray) for array in arrays)
    if path.stat().st_size != place:
        raise ValueError(f"it has {path.stat().st_size} bytes, but should have {place}")
    return Profiles(header.as_of, header.block_seconds, keys, sums, np.array(total), begins)


def _arrays(profiles: Profiles) -> list[npt.NDArray[np.uint8]]:
    """All that is kept, as bytes."""
    arrays = (profiles.total, profiles.keys, profiles.sums, profiles.directory())
    return [np.ascontiguousarray(array).reshape(-1).view(np.uint8) for array in arrays]


def _digest(profiles: Profiles, arrays: list[npt.NDArray[np.uint8]]) -> str:
    summary = f"{PROFILE_SET} {profiles.block_seconds} {profiles.as_of} {len(profiles)}"
    digest = hashlib.sha256(summary.encode())
    for array in arrays:
        digest.update(array.data)
    return digest.hexdigest()
