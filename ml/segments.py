"""Segments of the traffic: channel × merchant category."""

from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from ml.arrays import Names
from ml.features.events import hash_id

SegmentIds = npt.NDArray[np.uint64]

SEPARATOR: Final = " × "
_UNKNOWN: Final = "?"


def segment_name(channel: str | None, merchant_category: str | None) -> str:
    """What a person calls a segment.

    >>> segment_name("online", "electronics"), segment_name("atm", None)
    ('online × electronics', 'atm × ?')
    """
    return f"{channel or _UNKNOWN}{SEPARATOR}{merchant_category or _UNKNOWN}"


def segment_id(name: str) -> int:
    """A segment's number: 64-bit xxh3 of its name, the same in every process."""
    return hash_id(name)


def segment_ids_of(parts: Sequence[tuple[str | None, str | None]]) -> list[int]:
    """The numbers of the segments of some (channel, merchant_category), of which many are alike.

    Nothing is kept from call to call: anybody may send long names, and a new one each time.

    >>> segment_ids_of([("atm", None), ("atm", None)]) == [segment_id("atm × ?")] * 2
    True
    """
    known = {part: segment_id(segment_name(*part)) for part in set(parts)}
    return [known[part] for part in parts]


def segment_names(table: pa.Table) -> Names:
    """(n,) the segment of each row of a table with the columns of `ml.schema.TRANSACTION_ARROW`."""
    channel, category = (
        table[column].combine_chunks().dictionary_encode(null_encoding="encode")
        for column in ("channel", "merchant_category")
    )
    channels, categories = channel.dictionary.to_pylist(), category.dictionary.to_pylist()
    names = [segment_name(one, other) for one in channels for other in categories]
    places = channel.indices.to_numpy().astype(np.int64) * len(categories) + category.indices.to_numpy()
    taken: Names = np.array(names, object)[places]
    return taken


def segment_ids(names: Names | Iterable[str]) -> SegmentIds:
    """(n,) the numbers of segments given by their names (n,)."""
    places, different = pd.factorize(np.asarray(names, object))
    return np.take(np.array([segment_id(name) for name in different], np.uint64), places)


def places_among(ids: SegmentIds, segments: SegmentIds) -> npt.NDArray[np.int64]:
    """(n,) where each segment (n,) stands among some that ascend (s,); s where it is none of them."""
    place = np.searchsorted(ids, segments)
    known = (place < len(ids)) & (np.append(ids, np.uint64(0))[place] == segments)
    return np.where(known, place, len(ids))
