"""An application's hold on its checkpoint: the claims of its queries, and the folders that go with it."""

import hashlib
import os
import shutil
import tempfile
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from detection.hadoop_uris import named_folder
from jobs.runtime.claim import LOCKS, Claim, FileClaim, Holder
from jobs.runtime.file_systems import configuration, local_path
from jobs.runtime.health import HEALTH
from jobs.runtime.lease import HadoopFiles, LeaseClaim
from jobs.runtime.progress import Progress, progress
from settings import Settings


class Checkpoint:
    """The checkpoint of one application's queries.

    health: the local folder of the queries' health files. scratch: the local folder of what Spark may lose, which the next
    application on the same checkpoint deletes, so that nothing stays for ever after a kill.
    """

    def __init__(self, settings: Settings, queries: list[str], jvm: Any) -> None:
        hadoop = configuration(jvm)
        self._uri = settings.checkpoint
        self._queries = queries
        self._lock = threading.Lock()
        self._released = False
        self._local = local_path(self._uri, hadoop)
        self._claims: list[Claim] = [self._claim(query, jvm, hadoop) for query in queries]
        self.health = health_folder(self._local, settings)
        self.scratch = scratch_folder(self._uri, queries[0])

    def _claim(self, query: str, jvm: Any, hadoop: Any) -> Claim:
        if self._local is not None:
            return FileClaim(self._local, query, jvm)
        me = Holder.me(int(jvm.java.lang.ProcessHandle.current().pid()))
        return LeaseClaim(HadoopFiles(jvm, self._uri, hadoop), self._uri, query, me)

    def take(self) -> None:
        """Take all queries, or none. Raises `CheckpointTaken` or another `Fatal`."""
        taken = []
        try:
            for claim in self._claims:
                claim.take()
                taken.append(claim)
        except BaseException:
            _release(taken)
            raise
        shutil.rmtree(self.scratch, ignore_errors=True)  # of an application that was killed

    def check(self) -> None:
        """Raises `CheckpointGone` where it no longer belongs to this application."""
        with self._lock:
            for claim in [] if self._released else self._claims:
                claim.check()

    def release(self) -> None:
        """Release it."""
        shutil.rmtree(self.scratch, ignore_errors=True)
        with self._lock:
            self._released = True
            _release(self._claims)

    @property
    def local(self) -> Path | None:
        """Where it is, on a local disk; None where it is elsewhere."""
        return self._local

    def progress(self, query: str) -> Callable[[], Progress]:
        """What reads how far a query has come; nothing is known where the checkpoint is not on a local disk."""
        local = self._local
        if local is None:
            return lambda: Progress(None, None, {}, None, {})
        return lambda: progress(local / query)

    def sweep(self) -> None:
        """Delete what Spark still wrote where the checkpoint was deleted under it. What others may want stays."""
        if self._local is None or (self._local / LOCKS).exists():
            return
        for query in self._queries:
            if not (self._local / query / "metadata").exists():
                shutil.rmtree(self._local / query, ignore_errors=True)
        with suppress(OSError):
            self._local.rmdir()


def _release(claims: list[Claim]) -> None:
    for claim in claims:
        with suppress(Exception):  # on an unavailable file system the lease stays until it expires
            claim.release()


def health_folder(local: Path | None, settings: Settings) -> Path:
    """Where the queries' health files are: in the checkpoint, else beside the logs."""
    if local is not None:
        return local / HEALTH
    return settings.log_dir / HEALTH / _short(settings.checkpoint)


def scratch_folder(checkpoint: str, query: str) -> Path:
    """Where an application with this first query keeps what it may lose."""
    return Path(tempfile.gettempdir()) / f"scoreline-{os.getuid()}" / f"{_short(checkpoint)}-{query}"


def _short(checkpoint: str) -> str:
    local = named_folder(checkpoint)
    whole = checkpoint if local is None else str(local.resolve())
    return hashlib.sha256(whole.encode()).hexdigest()[:16]
