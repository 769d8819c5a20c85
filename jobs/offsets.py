"""Which records a micro-batch holds, read from the streaming checkpoint."""

import json
from collections.abc import Iterable

from jobs.ledger import Offsets
from jobs.storage import DurableFolder


class CheckpointOffsets:
    """The offset log of one query with one Kafka topic: where each micro-batch starts and ends."""

    def __init__(self, checkpoint: DurableFolder, topic: str) -> None:
        self._checkpoint = checkpoint
        self._topic = topic

    def of(self, micro_batch: int) -> tuple[Offsets, Offsets]:
        """(start, end) of a micro-batch that Spark has planned: partition → offset, start inclusive, end exclusive."""
        before = f"offsets/{micro_batch - 1}" if micro_batch else "sources/0/0"
        return self._read(before), self._read(f"offsets/{micro_batch}")

    def done(self, commits: Iterable[str]) -> Offsets | None:
        """Where the last of the micro-batches ends that are done, given the names of their commits; None without any.

        What comes next may be planned already, and is not done yet.
        """
        numbers = [int(name) for name in commits if name.isdigit()]
        return self._read(f"offsets/{max(numbers)}") if numbers else None

    def _read(self, name: str) -> Offsets:
        content = self._checkpoint.read(name)
        if content is None:
            raise FileNotFoundError(
                f"the streaming checkpoint lacks {name}; was it deleted, or is it another version's?"
            )
        return dict(json.loads(content.decode().splitlines()[-1])[self._topic])
