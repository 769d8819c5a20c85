"""What a file of customers' states says of itself where it is an export of a running job's."""

from typing import Final

import msgspec

OFFSETS_KEY: Final = b"scoreline.offsets"
"""The key in the Parquet file's metadata, whose value is a `StateOf` in JSON."""


class StateOf(msgspec.Struct, frozen=True):
    """The place in the log that an exported state is as of: the next offset by partition. A training's state has none."""

    topic: str
    topic_id: str
    offsets: dict[int, int]
