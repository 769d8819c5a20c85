"""A lease on a checkpoint that is on no local disk: one holder at a time, and a silent one is replaced."""

import os
import threading
from pathlib import Path

import pytest

from jobs.runtime.claim import CheckpointGone, CheckpointTaken, Holder
from jobs.runtime.lease import LeaseClaim, Times

TIMES = Times(renew=0.05, lost=0.6, silence=1.0, settle=0.2)


class Folder:
    """The lease's files in a local folder, with a switch that makes the file system unavailable."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.away = False

    def _path(self, name: str) -> Path:
        if self.away:
            raise ConnectionError("the file system does not answer")
        path = self._folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def read(self, name: str) -> bytes | None:
        try:
            return self._path(name).read_bytes()
        except FileNotFoundError:
            return None

    def create(self, name: str, content: bytes) -> bool:
        try:
            with self._path(name).open("xb") as file:
                file.write(content)
        except FileExistsError:
            return False
        return True

    def replace(self, name: str, content: bytes) -> None:
        self._path(name).write_bytes(content)

    def delete(self, name: str) -> None:
        self._path(name).unlink(missing_ok=True)


class Keeper:
    """Renews a claim in the background, as the application does."""

    def __init__(self, claim: LeaseClaim) -> None:
        self.claim = claim
        self.error: Exception | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.wait(0.02):
            try:
                self.claim.check()
            except CheckpointGone as gone:
                self.error = gone
                return

    def end(self) -> None:
        self._stop.set()
        self._thread.join()


def claim(files: Folder, host: str, alive: bool = True) -> LeaseClaim:
    pid = os.getpid() if alive else 2**22 + 1
    return LeaseClaim(files, "hdfs:///c", "detect", Holder(host, pid, pid, 0.0, f"place of {host}"), TIMES)


def test_a_second_one_is_refused_while_the_first_renews_and_told_who_holds_it(tmp_path: Path) -> None:
    files = Folder(tmp_path)
    first = claim(files, "one")
    first.take()
    keeper = Keeper(first)
    with pytest.raises(CheckpointTaken, match=r"hdfs:///c is in use: detect runs as process \d+ on one"):
        claim(files, "two").take()
    keeper.end()
    assert keeper.error is None


def test_a_holder_that_is_silent_is_replaced_and_ends_when_it_wakes(tmp_path: Path) -> None:
    files = Folder(tmp_path)
    first = claim(files, "one")
    first.take()
    second = claim(files, "two")
    second.take()
    keeper = Keeper(second)
    with pytest.raises(CheckpointGone, match="was taken over: detect now runs as process"):
        first.check()
    keeper.end()
    assert keeper.error is None


def test_one_that_was_released_is_free_at_once(tmp_path: Path) -> None:
    files = Folder(tmp_path)
    first = claim(files, "one")
    first.take()
    first.release()
    claim(files, "two").take()


def test_a_holder_that_cannot_reach_the_file_system_gives_up_before_another_may_take_it(tmp_path: Path) -> None:
    files = Folder(tmp_path)
    first = claim(files, "one")
    first.take()
    keeper = Keeper(first)
    files.away = True
    keeper._thread.join(TIMES.silence)
    assert isinstance(keeper.error, CheckpointGone)
    assert "could not be reached" in str(keeper.error)


def test_a_short_absence_of_the_file_system_takes_nothing_from_anybody(tmp_path: Path) -> None:
    files = Folder(tmp_path)
    first = claim(files, "one")
    first.take()
    keeper = Keeper(first)
    files.away = True
    keeper._thread.join(TIMES.lost / 3)
    files.away = False
    keeper._thread.join(TIMES.lost)
    keeper.end()
    assert keeper.error is None


def test_a_deleted_checkpoint_is_noticed(tmp_path: Path) -> None:
    files = Folder(tmp_path)
    first = claim(files, "one")
    first.take()
    files.delete("locks/detect.lease")
    keeper = Keeper(first)
    keeper._thread.join(2)
    assert "was deleted while detect ran on it" in str(keeper.error)


@pytest.mark.parametrize("stale", [False, True])
@pytest.mark.parametrize("attempt", range(5))
def test_of_many_that_start_at_the_same_instant_one_wins(tmp_path: Path, attempt: int, stale: bool) -> None:
    files = Folder(tmp_path)
    if stale:
        claim(files, "dead").take()
    claims = [claim(files, f"host {k}") for k in range(5)]
    keepers: list[Keeper] = []
    refused: list[CheckpointTaken] = []
    together = threading.Barrier(len(claims))

    def start(one: LeaseClaim) -> None:
        together.wait()
        try:
            one.take()
        except CheckpointTaken as error:
            refused.append(error)
        else:
            keepers.append(Keeper(one))

    threads = [threading.Thread(target=start, args=(one,)) for one in claims]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(keepers) == 1, f"attempt {attempt}"
    assert len(refused) == len(claims) - 1
    keepers[0].end()
    assert keepers[0].error is None


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"token":"\xff"}'])
def test_a_damaged_lease_does_not_end_its_holder(tmp_path: Path, content: bytes) -> None:
    first = claim(Folder(tmp_path), "one")
    first.take()
    (file,) = (path for path in tmp_path.rglob("*") if path.is_file())
    file.write_bytes(content)
    first.check()
