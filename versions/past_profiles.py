"""The profiles that training's history ended with, which a first start goes on from."""

import io
import tempfile
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from detection.storage import Storage
from detection.table_files import Name
from ml.dataset.profiling import COUNTS_FILE, LABEL_COUNTS_FILE, TABLE_FILE
from ml.features.profile_file import ProfilesUnreadable, read
from ml.features.profiles import COUNTS, LABEL_COUNTS
from ml.schema import DIGEST_DIGITS
from versions.errors import PastUnusable


class PastProfiles(NamedTuple):
    """The profiles that a history ends with. content: the file of the table; counts, label_counts: (n,) COUNTS and (m,)
    LABEL_COUNTS of later blocks, which the table does not have yet."""

    content: bytes
    digest: str
    counts: np.ndarray
    label_counts: np.ndarray

    def name(self, version: int) -> Name:
        """What the ledger calls the table."""
        return Name(version, self.digest[:DIGEST_DIGITS])


def read_past_profiles(folder: Storage, where: str, block_seconds: int) -> PastProfiles | None:
    """The profiles in a folder, that of `where`, as `python -m ml train --state-out` writes them; None where there are none.

    Raises `PastUnusable` where they are damaged, or of blocks of another length.
    """
    content = folder.read(TABLE_FILE)
    if content is None:
        return None
    try:
        with tempfile.NamedTemporaryFile(prefix="scoreline-profiles-") as copy:
            copy.write(content)
            copy.flush()
            profiles, digest = read(Path(copy.name))
        waiting = (_array(folder.read(name), kind) for name, kind in _WAITING)
        past = PastProfiles(content, digest, *waiting)
    except (ProfilesUnreadable, ValueError) as error:
        raise PastUnusable(
            f"the profiles beside --initial-state {where} can't be used: {error}. Write them again with `make train` "
            "(python -m ml train HISTORY), or delete them: then all merchants and categories are unknown"
        ) from error
    if profiles.block_seconds != block_seconds:
        raise PastUnusable(
            f"the profiles beside --initial-state {where} are of blocks of {profiles.block_seconds} s, but "
            f"--profile-block-seconds is {block_seconds}: start with theirs, or delete them"
        )
    return past


def _array(content: bytes | None, kind: "np.dtype[Any]") -> np.ndarray:
    if content is None:
        return np.zeros(0, kind)
    found: np.ndarray = np.load(io.BytesIO(content), allow_pickle=False)
    if found.dtype != kind:
        raise ValueError(f"counts should be {kind}, but are {found.dtype}")
    return found


_WAITING: Final = ((COUNTS_FILE, COUNTS), (LABEL_COUNTS_FILE, LABEL_COUNTS))
