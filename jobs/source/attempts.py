"""How often the application ended while a micro-batch was being worked on, kept beside the checkpoint.

What kills a Java process for want of memory kills the next one too, unless that one knows, and reads more carefully.
"""

import os
from typing import Final

import msgspec
import psutil
from pyspark.sql import SparkSession

from jobs.runtime.storage import DurableFolder
from jobs.source.topic_offsets import QueryCheckpoint

FOLDER: Final = "attempts"


class Attempt(msgspec.Struct, frozen=True):
    """The micro-batch that was planned and not done when the last application started that found one.

    ended: how many applications in a row ended with it. process: which one found so, so that it counts once.
    """

    micro_batch: int
    ended: int
    process: str


def ended_with_it(spark: SparkSession, checkpoint: str, query: str) -> int:
    """How many applications in a row ended, for whatever reason, before the coming micro-batch of a query was done.

    0 where the last one ended between two micro-batches. Asked at each start of the query.
    """
    planned = QueryCheckpoint(spark, f"{checkpoint}/{query}").uncommitted()
    if planned is None:
        return 0
    folder = DurableFolder(spark, f"{checkpoint}/{FOLDER}")
    content, me = folder.read_newest(query), _me()
    before = None if content is None else msgspec.json.decode(content, type=Attempt)
    if before is not None and before.micro_batch == planned:
        if before.process == me:
            return before.ended
        ended = before.ended + 1
    else:
        ended = 1
    folder.write_newest(query, msgspec.json.encode(Attempt(planned, ended, me)))
    return ended


def _me() -> str:
    return f"{os.uname().nodename} {os.getpid()} {psutil.Process().create_time()}"
