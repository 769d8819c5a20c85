"""How often the application ended while a micro-batch was being worked on, kept beside the checkpoint.

What kills a Java process for want of memory kills the next one too, unless that one knows, and reads more carefully.
"""

import logging
from typing import Final

import msgspec
from pyspark.sql import SparkSession

from jobs.runtime.storage import DurableFolder
from jobs.source.topic_offsets import QueryCheckpoint

_log = logging.getLogger(__name__)

FOLDER: Final = "attempts"

_found: Final[dict[tuple[str, str], tuple[int | None, int]]] = {}
"""What this application found at its first start of a query, by checkpoint and query: the micro-batch, and its count."""


class Attempt(msgspec.Struct, frozen=True):
    """The micro-batch that was planned and not done when the last application started that found one.

    ended: how many applications in a row ended with it.
    """

    micro_batch: int
    ended: int


def ended_with_it(spark: SparkSession, checkpoint: str, query: str) -> int:
    """How many applications in a row ended, for whatever reason, before the coming micro-batch of a query was done.

    0 where the last one ended between two micro-batches. Asked at each start of the query; what this application itself has
    planned and not done does not count.
    """
    planned = QueryCheckpoint(spark, f"{checkpoint}/{query}").uncommitted()
    if (checkpoint, query) not in _found:
        folder = DurableFolder(spark, f"{checkpoint}/{FOLDER}")
        _found[checkpoint, query] = planned, 0 if planned is None else counted(folder, query, planned)
    micro_batch, ended = _found[checkpoint, query]
    return ended if planned == micro_batch else 0


def counted(folder: DurableFolder, query: str, planned: int) -> int:
    """Counts one more application that ended with the planned micro-batch; returns how many there are in a row.

    A count that is damaged begins again: it must not be what keeps the query from starting.
    """
    content = folder.read_newest(query)
    try:
        before = None if content is None else msgspec.json.decode(content, type=Attempt)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        _log.warning("how often micro-batches of %s were begun is damaged, and counted from here on: %s", query, error)
        before = None
    ended = before.ended + 1 if before is not None and before.micro_batch == planned else 1
    folder.write_newest(query, msgspec.json.encode(Attempt(planned, ended)))
    return ended
