"""Why some messages of a piece are no scores: what each lacks, or which step of ours failed for it."""

from collections.abc import Callable
from dataclasses import dataclass, field

from detection.halves import in_words


@dataclass
class Refusals:
    """Of a piece's messages those that become dead letters, by row.

    reasons: of each of them. errors: the rows that an error of ours is the reason of. folded: the rows that are in their
    customer's state all the same.
    """

    reasons: dict[int, str] = field(default_factory=dict)
    errors: set[int] = field(default_factory=set)
    folded: set[int] = field(default_factory=set)

    def fail(self, row: int, step: str, error: Exception, folded: bool = False) -> None:
        """An error of ours, in one of our steps, is why a row goes no further."""
        self.reasons[row] = in_words(step, error)
        self.errors.add(row)
        if folded:
            self.folded.add(row)

    def of_step(self, step: str, rows: "list[int]", folded: bool = False) -> Callable[[int, Exception], None]:
        """What is told of the k-th of some rows that a step fails for."""
        return lambda k, error: self.fail(rows[k], step, error, folded)
