"""A claim on a checkpoint that is not on a local disk: a file that its holder renews, and that others take when it expires.

No clock is compared with another machine's: who wants the lease watches the file for as long as it may go unrenewed.
"""

import time
import uuid
from collections.abc import Callable
from typing import Any, Final, NamedTuple, Protocol

import msgspec

from jobs.runtime.claim import LOCKS, CheckpointGone, CheckpointTaken, Holder, taken
from jobs.runtime.file_systems import hadoop_path


class Times(NamedTuple):
    """In seconds. renew: pause between two renewals; lost: without one for so long, the holder gives up; silence: after so
    long without one, another takes the lease; settle: so long a new holder waits before it trusts that it is the only one."""

    renew: float = 3.0
    lost: float = 40.0
    silence: float = 60.0
    settle: float = 7.0


TIMES: Final = Times()


class Lease(msgspec.Struct, frozen=True):
    """What the file says. token: of one holder alone; renewals: how often it was renewed."""

    holder: Holder
    token: str
    renewals: int = 0


class Files(Protocol):
    """What a lease needs of a file system. Errors are whatever the file system raises."""

    def read(self, name: str) -> bytes | None: ...

    def create(self, name: str, content: bytes) -> bool:
        """False where the name is taken."""

    def replace(self, name: str, content: bytes) -> None: ...

    def delete(self, name: str) -> None: ...


class HadoopFiles:
    """A folder on any file system that Hadoop knows."""

    def __init__(self, jvm: Any, folder: str, hadoop: Any) -> None:
        self._path = jvm.org.apache.hadoop.fs.Path
        self._root = hadoop_path(folder, hadoop)
        self._files = self._root.getFileSystem(hadoop)

    def read(self, name: str) -> bytes | None:
        """See `Files`."""
        path = self._path(self._root, name)
        if not self._files.exists(path):
            return None
        try:
            stream = self._files.open(path)
        except Exception:
            if self._files.exists(path):
                raise
            return None  # its holder has just deleted it
        try:
            return bytes(stream.readAllBytes())
        finally:
            stream.close()

    def create(self, name: str, content: bytes) -> bool:
        """See `Files`."""
        try:
            self._write(name, content, overwrite=False)
        except Exception:
            if self.read(name) is None:
                raise
            return False
        return True

    def replace(self, name: str, content: bytes) -> None:
        """See `Files`."""
        self._write(name, content, overwrite=True)

    def delete(self, name: str) -> None:
        """See `Files`."""
        self._files.delete(self._path(self._root, name), False)

    def _write(self, name: str, content: bytes, overwrite: bool) -> None:
        stream = self._files.create(self._path(self._root, name), overwrite)
        try:
            stream.write(content)
        finally:
            stream.close()


class LeaseClaim:
    """See `jobs.runtime.claim.Claim`. `check` renews the lease when it is time to."""

    def __init__(
        self,
        files: Files,
        checkpoint: str,
        query: str,
        me: Holder,
        times: Times = TIMES,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._files = files
        self._checkpoint = checkpoint
        self._query = query
        self._name = f"{LOCKS}/{query}.lease"
        self._times = times
        self._clock = clock
        self._sleep = sleep
        self._lease = Lease(me, uuid.uuid4().hex)
        self._renewed = 0.0

    def take(self) -> None:
        """See `Claim`. Where another's lease is there, this takes until it is renewed, or until it has expired."""
        while not self._files.create(self._name, msgspec.json.encode(self._lease)):
            self._await_silence()
        begin = self._clock()
        while self._clock() - begin < self._times.settle:
            self._sleep(min(1.0, self._times.renew))
            there = self._read()
            if there is None or there.token != self._lease.token:
                raise CheckpointTaken(taken(self._checkpoint, self._query, None if there is None else there.holder))
        self._renew()

    def _await_silence(self) -> None:
        """Return once the name is free. Raises `CheckpointTaken` as soon as its holder renews it."""
        first = self._files.read(self._name)
        begin = self._clock()
        while (content := self._files.read(self._name)) is not None:
            there = _decoded(content)
            if content != first and there is not None:
                raise CheckpointTaken(taken(self._checkpoint, self._query, there.holder))
            if (there is not None and there.holder.dead) or self._clock() - begin > self._times.silence:
                self._files.delete(self._name)
                return
            self._sleep(min(1.0, self._times.renew))

    def check(self) -> None:
        """See `Claim`."""
        silent = self._clock() - self._renewed
        if silent < self._times.renew:
            return
        try:
            there = self._read()
            mine = there is not None and there.token == self._lease.token
            if mine and silent < self._times.lost:
                self._renew()
                return
        except Exception as error:  # noqa: BLE001  # while a file system is unavailable nobody can take the lease
            if silent < self._times.lost:
                return
            raise CheckpointGone(
                f"the checkpoint {self._checkpoint} could not be reached for {silent:.0f} s ({type(error).__name__}), and "
                f"another application may take {self._query} over: start again when its file system is back"
            ) from None
        if there is None:
            raise CheckpointGone(
                f"the checkpoint {self._checkpoint} was deleted while {self._query} ran on it: start again to begin a new one"
            )
        raise CheckpointGone(
            f"{self._query} was silent for {silent:.0f} s, and its checkpoint {self._checkpoint} may be taken over"
            if mine
            else f"the checkpoint {self._checkpoint} was taken over: {self._query} now runs as {there.holder}"
        )

    def release(self) -> None:
        """See `Claim`."""
        there = self._read()
        if there is not None and there.token == self._lease.token:
            self._files.delete(self._name)

    def _renew(self) -> None:
        self._lease = msgspec.structs.replace(self._lease, renewals=self._lease.renewals + 1)
        self._files.replace(self._name, msgspec.json.encode(self._lease))
        self._renewed = self._clock()

    def _read(self) -> Lease | None:
        content = self._files.read(self._name)
        if content is None:
            return None
        # A file that is being replaced may be empty for a moment.
        lease = _decoded(content)
        return self._lease if lease is None else lease


def _decoded(content: bytes) -> Lease | None:
    try:
        return msgspec.json.decode(content, type=Lease)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
