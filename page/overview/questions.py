"""Questions that take a while: asked in the background when somebody looks, their last answer shown meanwhile."""

import logging
import threading
import time
from collections.abc import Callable
from typing import Any, NamedTuple

_log = logging.getLogger(__name__)


class NoAnswer(Exception):
    """Why there is no answer, in words."""


class Answer(NamedTuple):
    """The last answer. seconds: its age; None before there is one. trouble: why there is none. asking: it is asked now."""

    value: Any
    seconds: float | None
    trouble: str
    asking: bool


class Question:
    """Asks at most once at a time, and again only when the answer is older than `keep_seconds`. Safe to use by threads."""

    def __init__(self, name: str, ask: Callable[[], Any], keep_seconds: float) -> None:
        self.name, self._ask, self._keep_seconds = name, ask, keep_seconds
        self._lock = threading.Lock()
        self._value: Any = None
        self._trouble = ""
        self._at: float | None = None
        self._asking = False

    def answer(self) -> Answer:
        """What is known now, without waiting."""
        with self._lock:
            age = None if self._at is None else time.monotonic() - self._at
            if not self._asking and (age is None or age > self._keep_seconds):
                self._asking = True
                threading.Thread(target=self._run, name=self.name, daemon=True).start()
            return Answer(self._value, age, self._trouble, self._asking)

    def _run(self) -> None:
        value, trouble = None, ""
        try:
            value = self._ask()
        except NoAnswer as error:
            trouble = str(error)
        except Exception as error:  # noqa: BLE001  # an error of ours: the overview shows all the rest
            _log.warning("%s can't be asked", self.name, exc_info=error)
            trouble = f"{type(error).__name__}: {error}"
        with self._lock:
            self._value, self._trouble, self._at, self._asking = value, trouble[:500], time.monotonic(), False
