"""Work that goes on in a thread of its own while a `with` block lasts."""

import threading
from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self


class Background(ABC):
    """Starts `work` at the beginning of the block, and at its end waits until it has returned."""

    def __init__(self) -> None:
        self._stopped = threading.Event()
        self._failure: Exception | None = None
        self._thread = threading.Thread(target=self._run, name=type(self).__name__, daemon=True)

    @abstractmethod
    def work(self, stopped: threading.Event) -> None:
        """The work, until `stopped` is set."""

    def check(self) -> None:
        """Raises the error that ended the work, if one did."""
        if self._failure is not None:
            raise self._failure

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            self.work(self._stopped)
        except Exception as error:  # noqa: BLE001  # what a thread raises is lost otherwise; `check` raises it
            self._failure = error
