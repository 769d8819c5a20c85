"""Why some messages get no score: what each lacks, or which step of ours failed for it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import msgspec

from detection.halves import in_words


class Problem(msgspec.Struct, omit_defaults=True):
    """Why a message is a dead letter, and where it is in the log; kafka_time in ms; whether it is in its customer's state."""

    reason: str
    partition: int
    offset: int
    kafka_time: int
    folded: bool = False


@dataclass
class Refusals:
    """Of a piece's messages those that become dead letters, by row.

    reasons: of each of them. errors: the rows that an error of ours is the reason of. folded: the rows that are in their
    customer's state anyway.
    """

    reasons: dict[int, str] = field(default_factory=dict)
    errors: set[int] = field(default_factory=set)
    folded: set[int] = field(default_factory=set)

    def fail(self, row: int, step: str, error: Exception, folded: bool = False) -> None:
        """An error of ours, in one of our steps, is why a row goes no further."""
        self.note(row, in_words(step, error), folded)

    def note(self, row: int, why: str, folded: bool = False) -> None:
        """An error of ours, as a text, is why a row goes no further."""
        self.reasons[row] = why
        self.errors.add(row)
        if folded:
            self.folded.add(row)

    def problems(self, records: "Sequence[tuple[int, int, int, bytes | None]]") -> dict[int, Problem]:
        """Each of them by row. records: (partition, offset, kafka_time in ms, key) of all the piece's messages."""
        return {row: Problem(why, *records[row][:3], row in self.folded) for row, why in self.reasons.items()}

    def of_step(self, step: str, rows: "list[int]", folded: bool = False) -> Callable[[int, Exception], None]:
        """Notes the k-th of some rows, which a step fails for."""
        return lambda k, error: self.fail(rows[k], step, error, folded)
