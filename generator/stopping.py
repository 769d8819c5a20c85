"""How a signal ends what goes on for long: the first one in order, a second one at once."""

import signal
from collections.abc import Callable
from types import FrameType


def stop_on_signal(stop: Callable[[], None]) -> None:
    """The first SIGINT or SIGTERM calls `stop`; a second one ends the process."""

    def first(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
        signal.signal(number, signal.SIG_DFL)
        stop()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, first)
