"""The file that keeps how far a replay came, so that a later one goes on from there."""

from pathlib import Path

import msgspec

from generator.labels import LateLabels
from generator.replay.errors import ReplayError
from generator.replay.stream import Reached
from ml.schema import Label


class Kept(msgspec.Struct):
    """A replay that was stopped: what it read and wrote to, how far it came, and its labels that were not due."""

    identity: str
    topic: str
    reached: Reached
    under_way: list[Label]


class KeptPlace:
    """Keeps the place of the replay of one data set (its identity) into one topic."""

    def __init__(self, file: Path, identity: str, topic: str) -> None:
        self._file, self._identity, self._topic = file, identity, topic

    def read(self) -> Kept:
        """What was kept. Raises ReplayError where there is nothing, or where another replay wrote it."""
        try:
            kept = msgspec.json.decode(self._file.read_bytes(), type=Kept)
        except (OSError, ValueError) as error:  # text that is not UTF-8 too
            raise ReplayError(f"there is no stopped replay to resume ({error}): leave --resume out") from None
        if (kept.identity, kept.topic) != (self._identity, self._topic):
            raise ReplayError(
                f"{self._file} belongs to a replay of other contents, with another mapping or tolerance, or into another "
                f"topic ({kept.topic}): give what it had, or leave --resume out"
            )
        return kept

    def write(self, reached: Reached, labels: LateLabels) -> None:
        """Keep it, in one step."""
        self._file.parent.mkdir(parents=True, exist_ok=True)
        new = self._file.with_suffix(".new")
        new.write_bytes(msgspec.json.encode(Kept(self._identity, self._topic, reached, labels.under_way())))
        new.replace(self._file)

    def clear(self) -> None:
        """There is nothing to resume any more."""
        self._file.unlink(missing_ok=True)
