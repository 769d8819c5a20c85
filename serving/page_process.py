"""The analyst's page beside the service: a process of its own, started again when it ends, and never waited for."""

import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from settings import Settings

_log = logging.getLogger(__name__)

_FIRST_PAUSE: Final = 1.0
_LONGEST_PAUSE: Final = 60.0
_SOUND_SECONDS: Final = 30.0
"""A page that has run for so long is started again after the shortest pause."""
_END_SECONDS: Final = 5.0
_COMMAND: Final = (sys.executable, "-m", "page", "--end-with-input")
_ROOT: Final = Path(__file__).parents[1]


class PageProcess:
    """Runs `scoreline page` with the service's settings until `close`. That it can't run is logged, and ends nothing."""

    def __init__(self, settings: Settings, command: Sequence[str] = _COMMAND) -> None:
        path = os.pathsep.join(filter(None, [str(_ROOT), os.environ.get("PYTHONPATH")]))
        self._environment = os.environ | settings.environment() | {"PYTHONPATH": path}
        self._command = tuple(command)
        self._stopped = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._run, name="page", daemon=True)
        self.starts = 0

    def start(self) -> None:
        """Start the page, and return at once."""
        self._thread.start()

    def close(self) -> None:
        """End it."""
        self._stopped.set()
        process = self._process
        if process is not None and process.poll() is None:
            process.terminate()
            try:
                process.wait(_END_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
        if self._thread.is_alive():
            self._thread.join(_END_SECONDS)

    def _run(self) -> None:
        pause = _FIRST_PAUSE
        while not self._stopped.is_set():
            began = time.monotonic()
            self._run_once()
            if self._stopped.is_set():
                return
            pause = _FIRST_PAUSE if time.monotonic() - began > _SOUND_SECONDS else min(_LONGEST_PAUSE, 2 * pause)
            self._stopped.wait(pause)

    def _run_once(self) -> None:
        self.starts += 1
        try:
            # Its standard input ends when this process does, however that ends: then the page ends too.
            self._process = subprocess.Popen(self._command, env=self._environment, stdin=subprocess.PIPE)
            status = self._process.wait()
        except OSError as error:
            _log.warning("the analyst's page can't be started: %s", error)
            return
        finally:
            if self._process is not None and self._process.stdin is not None:
                self._process.stdin.close()
        if not self._stopped.is_set():
            _log.warning("the analyst's page has ended with status %s, and is started again", status)
