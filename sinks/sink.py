"""What every sink of points offers, and how it says that it cannot write."""

from typing import Protocol, Self


class Sink(Protocol):
    """Takes line protocol. A sink's life is setup → write, write, … → close, or a `with` block.

    A sink that is not set up yet can be pickled: it travels to the machine that writes. `write` blocks until the points
    are stored and raises where they are not; it never drops a point and never swallows an error.
    """

    def setup(self) -> None:
        """Open what `write` needs; called once on the machine that writes."""

    def check(self) -> None:
        """Raise `SinkUnavailable`, quickly and at little cost, where nothing can be written now."""

    def write(self, lines: bytes) -> None:
        """Store whole lines of line protocol, times in nanoseconds, at most some 10,000 a call."""

    def close(self) -> None:
        """Release what `setup` opened."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *error: object) -> None: ...


class SinkUnavailable(Exception):
    """The sink gave no answer or asks to wait, after several tries; the same write may well succeed later."""


class SinkRejected(Exception):
    """The sink refused the points, or this client; the same write will be refused again."""


class PointsRefused(SinkRejected):
    """The sink refused a request for the points in it; without those at fault the others would be taken."""
