"""The offset log of a query's streaming checkpoint: which records a micro-batch holds, and how to begin a topic again."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence

from pyspark.sql import SparkSession

from detection.ledger import Offsets
from detection.storage import is_number
from jobs.runtime.storage import DurableFolder

_INITIAL = "sources/0/0"
_STASH = "offsets"

ByTopic = dict[str, Offsets]


class CheckpointOffsets:
    """The offset log of one query with one Kafka topic: where each micro-batch starts and ends."""

    def __init__(self, checkpoint: DurableFolder, topic: str) -> None:
        self._checkpoint = checkpoint
        self._topic = topic

    def of(self, micro_batch: int) -> tuple[Offsets, Offsets]:
        """(start, end) of a micro-batch that Spark has planned: partition → offset, start inclusive, end exclusive."""
        start, end = _offsets(self._checkpoint, micro_batch)
        return start[self._topic], end[self._topic]

    def done(self, commits: Iterable[str]) -> Offsets | None:
        """Where the last of the micro-batches ends that are done, given the names of their commits; None without any.

        What comes next may be planned already, and is not done yet. None too where no micro-batch has read the topic yet.
        """
        numbers = [int(name) for name in commits if is_number(name)]
        return _read(self._checkpoint, f"offsets/{max(numbers)}").get(self._topic) if numbers else None


class QueryCheckpoint:
    """The streaming checkpoint of a query with one Kafka source, as Spark writes it (version 1)."""

    def __init__(self, spark: SparkSession, folder: str) -> None:
        self._folder = DurableFolder(spark, folder)
        self._planned = DurableFolder(spark, f"{folder}/offsets")
        self._committed = DurableFolder(spark, f"{folder}/commits")
        self._stash = DurableFolder(spark, f"{folder}/begin-again")

    def of(self, micro_batch: int) -> tuple[ByTopic, ByTopic]:
        """(start, end) of a micro-batch that Spark has planned, by topic; see `CheckpointOffsets.of`."""
        return _offsets(self._folder, micro_batch)

    def begin_again(
        self, topics: Mapping[str, Sequence[int]], forget: Callable[[int], None] = lambda micro_batch: None
    ) -> int | None:
        """Let the next micro-batch start at offset 0 of all partitions of some topics; other topics stay where they are.

        What the last committed micro-batch ends with is what the next one starts with, so that is written again. A
        micro-batch that is planned but not committed is dropped before; returns its number. After a kill at any step, it may be
        repeated with the same result: no file system is sure to replace a file whole, so the new content is written beside
        the old file before that is deleted.
        """
        committed, dropped = _newest(self._committed), self.uncommitted()
        if dropped is not None:
            forget(dropped)
            self._planned.delete(str(dropped))
        begin = {topic: {str(p): 0 for p in sorted(topics[topic])} for topic in topics}
        self._change(_INITIAL if committed is None else f"offsets/{committed}", begin)
        return dropped

    def uncommitted(self) -> int | None:
        """The micro-batch that is planned and not committed, if there is one."""
        committed, planned = _newest(self._committed), _newest(self._planned)
        return planned if planned is not None and planned != committed else None

    def plan_again(self, micro_batch: int, start: ByTopic, end: ByTopic) -> None:
        """Let a micro-batch that is planned and not committed hold other records; `restore` it after a kill."""
        name = f"offsets/{micro_batch}"
        content = self._folder.read(name)
        if content is not None:
            self._folder.delete(
                name
            )  # after a kill here, Spark plans it again, and what was wrong with it is found again
            self._folder.write(name, _with(content, end))
        self._change(_before(micro_batch), start)

    def restore(self) -> None:
        """Finish what a kill interrupted, so that no file of the checkpoint is missing."""
        content = self._stash.read_newest(_STASH)
        committed = _newest(self._committed)
        name = _INITIAL if committed is None else f"offsets/{committed}"
        if content is not None and self._folder.read(name) is None:
            self._folder.write(name, content)
        self._clear()

    def _change(self, name: str, offsets: ByTopic) -> None:
        """Write the offsets of some topics again, where the last committed micro-batch ended (or the first one starts)."""
        content = self._folder.read(name) or self._stash.read_newest(_STASH)
        if content is None:
            return
        changed = _with(content, offsets)
        self._stash.write_newest(_STASH, changed)
        self._folder.delete(name)
        self._folder.write(name, changed)
        self._clear()

    def _clear(self) -> None:
        for file in self._stash.names():
            self._stash.delete(file)


def _with(content: bytes, offsets: ByTopic) -> bytes:
    """An offset log's file, with other offsets for some topics."""
    *head, last = content.decode().rstrip("\n").split("\n")
    return "\n".join([*head, json.dumps(json.loads(last) | offsets, separators=(",", ":"))]).encode()


def _before(micro_batch: int) -> str:
    """The file that says where a micro-batch starts."""
    return f"offsets/{micro_batch - 1}" if micro_batch else _INITIAL


def _newest(folder: DurableFolder) -> int | None:
    return max((int(name) for name in folder.names() if is_number(name)), default=None)


def _offsets(checkpoint: DurableFolder, micro_batch: int) -> tuple[ByTopic, ByTopic]:
    return _read(checkpoint, _before(micro_batch)), _read(checkpoint, f"offsets/{micro_batch}")


def _read(checkpoint: DurableFolder, name: str) -> ByTopic:
    content = checkpoint.read(name)
    if content is None:
        raise FileNotFoundError(
            f"the streaming checkpoint lacks {name}; was it deleted, or written by another version?"
        )
    return dict(json.loads(content.decode().splitlines()[-1]))
