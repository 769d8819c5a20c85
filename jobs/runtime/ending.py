"""Ends the application: after a signal it is gone within half a minute, whatever hangs, and nothing is lost."""

import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import Any, Final

import psutil

from jobs.runtime import orphan
from jobs.runtime.gate import Gate

_log = logging.getLogger(__name__)

GRACE_SECONDS: Final = 15.0
"""So long a running micro-batch may take to finish. A start later it would be repeated, by the same versions."""

LIMIT_SECONDS: Final = 24.0
"""So long after the first signal the application ends, finished or not."""

_SAME_SIGNAL_SECONDS: Final = 1.0
_HOOKS_SECONDS: Final = 5.0


class Ending:
    """Closes the gate at the first SIGTERM, SIGINT or SIGHUP, ends the application by force when it is late, or at a second
    signal. SIGHUP comes when a terminal is closed; where it is ignored (nohup) it stays so."""

    def __init__(self, gate: Gate, jvm: Any) -> None:
        self._gate = gate
        self._jvm = jvm
        self.jvm_pid = int(jvm.java.lang.ProcessHandle.current().pid())
        self._asked_at: float | None = None
        self._lock = threading.Lock()
        self._hurry: Callable[[], None] | None = None
        self._over = threading.Event()
        self._forced = False

    def listen(self, gateway: Any) -> None:
        """From now on signals are handled, those to Java's process and those to Python's, and the end of Java's process."""
        orphan.taken_over()
        if os.getppid() == self.jvm_pid:
            threading.Thread(target=self._end_with_java, name="java", daemon=True).start()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._on_signal)
        from pyspark.java_gateway import ensure_callback_server_started

        ensure_callback_server_started(gateway)  # type: ignore[no-untyped-call]
        for name in ("TERM", "INT", "HUP"):  # Java leaves one that is ignored as it is
            self._jvm.sun.misc.Signal.handle(self._jvm.sun.misc.Signal(name), _JvmHandler(self))

    def _end_with_java(self) -> None:
        """Leave as soon as the JVM that started this process is gone, for nothing here can go on then."""
        while os.getppid() == self.jvm_pid:
            time.sleep(0.2)
        if not self._forced:
            os._exit(1)

    def on_hurry(self, hurry: Callable[[], None]) -> None:
        """What aborts the running micro-batches; until it is set nothing has begun, and a signal ends all at once."""
        self._hurry = hurry

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self.asked()

    def asked(self) -> None:
        """A signal came. Ctrl-C in a terminal comes twice, by Java and by Python: within a second it is the same one."""
        with self._lock:
            now = time.monotonic()
            first, self._asked_at = self._asked_at is None, self._asked_at or now
        if first:
            self._begin(0)
        elif now - self._asked_at > _SAME_SIGNAL_SECONDS:
            _log.warning("asked to stop a second time: ending at once")
            self.by_force(1)

    def fatal(self) -> None:
        """The application's own query cannot go on: the others have as long as after a signal. Its exit status is 1."""
        with self._lock:
            first, self._asked_at = self._asked_at is None, self._asked_at or time.monotonic()
        if first:
            self._begin(1)

    def _begin(self, status: int) -> None:
        self._gate.close()
        threading.Thread(target=self._see_it_through, args=(status,), name="ending", daemon=True).start()

    def _see_it_through(self, status: int) -> None:
        if self._hurry is None:
            self.by_force(status)
        if self._over.wait(GRACE_SECONDS):
            return
        threading.Thread(target=self._hurry, name="hurry", daemon=True).start()
        if not self._over.wait(LIMIT_SECONDS - GRACE_SECONDS):
            self.by_force(status)

    def finish(self, status: int) -> int:
        """The work is over and Spark has stopped: end Java too, which may wait for Kafka, but not for long.

        Returns the status where Java did not start this process, and so has nothing to end with it, or where it has: in a
        cluster's driver Java reports to the cluster how this process ended.
        """
        self._over.set()
        mode = self._jvm.java.lang.System.getProperty("spark.submit.deployMode")
        if os.getppid() != self.jvm_pid or mode == "cluster":
            return status
        _flush()
        workers = self._workers()
        threading.Thread(target=self._exit_java, args=(status,), daemon=True).start()
        deadline = time.monotonic() + _HOOKS_SECONDS
        while time.monotonic() < deadline:
            time.sleep(0.05)
            if os.getppid() != self.jvm_pid:
                _kill(workers)
                os._exit(status)
        self.by_force(status)
        return status

    def _exit_java(self, status: int) -> None:
        self._jvm.java.lang.Runtime.getRuntime().exit(status)

    def by_force(self, status: int, afterwards: Callable[[], None] | None = None) -> None:
        """End both processes now. afterwards: what is done once Java is gone."""
        self._forced = True
        _flush()
        workers = self._workers()
        halting = threading.Thread(target=self._halt, args=(status,), daemon=True)
        halting.start()
        halting.join(2)
        if os.getppid() == self.jvm_pid:
            os.kill(self.jvm_pid, signal.SIGKILL)
        _kill(workers)
        if afterwards is not None:
            afterwards()
        os._exit(status)

    def _workers(self) -> list[psutil.Process]:
        """Java's other Python processes: one that has just begun would notice the end of Java only after its imports."""
        if os.getppid() != self.jvm_pid:
            return []
        with suppress(psutil.Error):
            return [one for one in psutil.Process(self.jvm_pid).children(recursive=True) if _is_worker(one)]
        return []

    def _halt(self, status: int) -> None:
        try:
            self._jvm.java.lang.Runtime.getRuntime().halt(status)
        except Exception:  # noqa: BLE001  # there is no answer from who is gone
            return


class _JvmHandler:
    """Java's sun.misc.SignalHandler: spark-submit's JVM gets the signal, not the Python process that it started."""

    def __init__(self, ending: Ending) -> None:
        self._ending = ending

    def handle(self, number: Any) -> None:
        self._ending.asked()

    class Java:
        implements: Final = ["sun.misc.SignalHandler"]


def _is_worker(process: psutil.Process) -> bool:
    with suppress(psutil.Error):
        return process.pid != os.getpid() and any(word.startswith("pyspark.") for word in process.cmdline())
    return False


def _kill(processes: list[psutil.Process]) -> None:
    for process in processes:
        with suppress(psutil.Error):  # psutil does not kill another one that has the same number now
            process.kill()


def _flush() -> None:
    """Write out what was logged, where possible: a full disk or a closed pipe must not keep the application from ending."""
    for stream in (*logging.getLogger().handlers, sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
