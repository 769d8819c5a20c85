"""Which application owns a query's checkpoint: one at a time, on a local disk by a lock that ends with its processes."""

import fcntl
import os
import socket
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Protocol

import msgspec
import psutil

from detection.storage import is_number
from jobs.runtime.errors import Fatal

LOCKS: Final = "locks"
_PATIENCE_SECONDS: Final = 2.0
_DYING_SECONDS: Final = 20.0


class CheckpointTaken(Fatal):
    """Another application runs this query on this checkpoint."""


class CheckpointGone(Fatal):
    """The checkpoint was deleted, or taken by another application, while this one ran on it."""


class Holder(msgspec.Struct, frozen=True):
    """Who runs a query. pid: of the process that a signal should go to; since: seconds since 1970; place: where pids count."""

    host: str
    pid: int
    python_pid: int
    since: float
    place: str = ""

    @classmethod
    def me(cls, jvm_pid: int) -> "Holder":
        """This application."""
        return cls(socket.gethostname(), jvm_pid, os.getpid(), time.time(), _place())

    def __str__(self) -> str:
        since = datetime.fromtimestamp(self.since, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        return f"process {self.pid} on {self.host}, since {since}"

    @property
    def half_dead(self) -> bool:
        """Whether one of its processes, as far as this machine can see, has ended: the other one is about to end."""
        return self.here and not all(map(psutil.pid_exists, (self.pid, self.python_pid)))

    @property
    def dead(self) -> bool:
        """Whether its processes ran on this machine and are gone."""
        return self.here and not any(map(psutil.pid_exists, (self.pid, self.python_pid)))

    @property
    def here(self) -> bool:
        """Whether it runs on this machine, and in this container."""
        return self.place == _place()


def _place() -> str:
    """The machine, since its boot, and the container on it: within these, a process id means one process."""
    with suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}/{Path('/proc/self/ns/pid').stat().st_ino}"
    return f"{socket.gethostname()}/{psutil.boot_time():.0f}"


class Claim(Protocol):
    """A query of a checkpoint, taken for this application."""

    def take(self) -> None:
        """Raises `CheckpointTaken` where another application has it."""

    def check(self) -> None:
        """Raises `CheckpointGone` where this application no longer has it."""

    def release(self) -> None:
        """Release it."""


class FileClaim:
    """A claim by two locks that the kernel releases at the end of a process: one of Python's, one of Java's.

    Both processes of an application write to the checkpoint, and either may outlive the other by a moment.
    """

    def __init__(self, checkpoint: Path, query: str, jvm: Any) -> None:
        self._checkpoint = checkpoint
        self._query = query
        self._jvm = jvm
        self._path = checkpoint / LOCKS / query
        self._file: int | None = None
        self._inode: int | None = None
        self._java: tuple[Any, Any] | None = None

    def take(self) -> None:
        """See `Claim`."""
        begin = time.monotonic()
        while not self._tried():
            holder = holder_of(self._checkpoint, self._query)
            patience = _DYING_SECONDS if holder is not None and holder.half_dead else _PATIENCE_SECONDS
            if time.monotonic() - begin > patience:
                raise CheckpointTaken(taken(str(self._checkpoint), self._query, holder))
            time.sleep(0.2)
        check_whole(self._checkpoint / self._query)

    def _tried(self) -> bool:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            same = os.fstat(file).st_ino == self._path.stat().st_ino
        except OSError:
            same = False
        if not same or not self._locked_by_java():
            os.close(file)
            return False
        self._file, self._inode = file, os.fstat(file).st_ino
        pid = int(self._jvm.java.lang.ProcessHandle.current().pid())
        os.ftruncate(file, 0)
        os.pwrite(file, msgspec.json.encode(Holder.me(pid)), 0)
        return True

    def _locked_by_java(self) -> bool:
        file = self._jvm.java.io.RandomAccessFile(f"{self._path}.java", "rw")
        try:
            lock = file.getChannel().tryLock()
        except Exception:  # noqa: BLE001  # this very JVM holds it
            lock = None
        if lock is None:
            file.close()
            return False
        self._java = file, lock  # as long as Python holds them, Java does not collect them
        return True

    def check(self) -> None:
        """See `Claim`."""
        try:
            inode = self._path.stat().st_ino
        except FileNotFoundError:
            inode = None
        if inode != self._inode:
            was = "was deleted" if inode is None else "was deleted, and another application has begun a new one there"
            raise CheckpointGone(
                f"the checkpoint {self._checkpoint} {was} while {self._query} ran on it: start again to begin a new one"
            )

    def release(self) -> None:
        """See `Claim`."""
        if self._java is not None:
            with suppress(Exception):  # where the JVM is gone, so is its lock
                self._java[0].close()
        if self._file is not None:
            os.close(self._file)
        self._java = self._file = None


def taken(checkpoint: str, query: str, holder: Holder | None) -> str:
    """The refusal, in one line."""
    by = "another application" if holder is None else str(holder)
    end = "it" if holder is None else f"it (kill {holder.pid})"
    return f"the checkpoint {checkpoint} is in use: {query} runs as {by}. End {end}, or start with another --checkpoint"


def holder_of(checkpoint: Path, query: str) -> Holder | None:
    """Who took a query's checkpoint last; `is_held` says whether it still runs."""
    path = checkpoint / LOCKS / query
    try:
        return msgspec.json.decode(path.read_bytes(), type=Holder) if path.is_file() else None
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return None


def is_held(checkpoint: Path, query: str) -> bool:
    """Whether an application runs the query on this checkpoint of a local disk. Takes nothing for longer than a moment.

    Raises PermissionError where this user may not read it.
    """
    try:
        file = os.open(checkpoint / LOCKS / query, os.O_RDONLY | os.O_NONBLOCK)
    except PermissionError:
        raise
    except OSError:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(file)
    return False


def check_whole(query: Path) -> None:
    """Raises `Fatal` where a query's streaming checkpoint on a local disk has lost a part without which it can't go on."""
    offsets, commits = _newest(query / "offsets"), _newest(query / "commits")
    lacks = []
    if max(offsets, commits) >= 0 and not (query / "metadata").exists():
        lacks.append("metadata")
    if commits > offsets:
        lacks.append(f"offsets/{commits}")
    if lacks:
        raise Fatal(
            f"the checkpoint {query.parent} is damaged: {query.name} lacks {' and '.join(lacks)}. Restore the folder from a "
            "copy, or start with another --checkpoint, --starting-offsets earliest and, where there was one, --initial-state"
        )


def _newest(folder: Path) -> int:
    with suppress(OSError):
        return max((int(file.name) for file in folder.iterdir() if is_number(file.name)), default=-1)
    return -1
