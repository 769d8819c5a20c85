"""What is well and what is not, by the files of a checkpoint."""

import fcntl
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest

from jobs.runtime.claim import LOCKS, Holder, holder_of, is_held
from jobs.runtime.health import HEALTH, Health
from jobs.status import QueryStatus, as_table, local_checkpoint, queries_of, statuses
from settings import Settings

ROOT = Path(__file__).parents[2]
NO_KAFKA = Settings(kafka_bootstrap_servers="127.0.0.1:1", stalled_after_minutes=5)


@contextmanager
def running(checkpoint: Path, query: str = "detect") -> Iterator[None]:
    """The lock that the application holds."""
    path = checkpoint / LOCKS / query
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb", buffering=0) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write(msgspec.json.encode(Holder.me(os.getpid())))
        yield


def healthy(checkpoint: Path, query: str = "detect", **changes: object) -> None:
    health = Health(query, "running", time.time() - 600, time.time(), 1)
    for name, value in changes.items():
        setattr(health, name, value)
    (checkpoint / HEALTH).mkdir(exist_ok=True)
    (checkpoint / HEALTH / f"{query}.json").write_bytes(msgspec.json.encode(health))


def one(checkpoint: Path) -> QueryStatus:
    (found,) = statuses(checkpoint, queries_of(checkpoint), NO_KAFKA)
    return found


def test_what_runs_and_beats_is_well(tmp_path: Path) -> None:
    with running(tmp_path):
        healthy(tmp_path)
        found = one(tmp_path)
    assert (found.running, found.state, found.unhealthy) == (True, "running", None)
    assert found.holder is not None
    assert f"process {os.getpid()}" in found.holder


def test_a_fresh_heartbeat_without_the_lock_is_not_running(tmp_path: Path) -> None:
    healthy(tmp_path)
    assert one(tmp_path).unhealthy == "not running"


def test_a_lock_without_a_fresh_heartbeat_is_not_well(tmp_path: Path) -> None:
    with running(tmp_path):
        healthy(tmp_path, heartbeat=time.time() - 100)
        assert "silent for 100 s" in (one(tmp_path).unhealthy or "")


@pytest.mark.parametrize("state", ["failing", "stalled", "ended"])
def test_what_fails_or_stands_still_is_told_with_its_cause(tmp_path: Path, state: str) -> None:
    with running(tmp_path):
        healthy(tmp_path, state=state, cause="what ails it", attempts=3, failing_since=time.time() - 60, micro_batch=7)
        found = one(tmp_path)
    assert (found.unhealthy, found.attempts, found.micro_batch) == ("what ails it", 3, 7)


def test_what_ended_for_good_is_told_with_its_cause_afterwards(tmp_path: Path) -> None:
    healthy(tmp_path, state="ended", cause="the topic is another one")
    assert one(tmp_path).unhealthy == "not running: the topic is another one"


def test_a_folder_without_queries_has_none(tmp_path: Path) -> None:
    assert queries_of(tmp_path) == []


def test_a_checkpoint_that_is_on_no_local_disk_is_refused_in_words() -> None:
    with pytest.raises(ValueError, match="health files in the application's log folder"):
        local_checkpoint("hdfs://cluster/checkpoint")
    assert local_checkpoint("file:/a b") == Path("/a b")
    assert local_checkpoint("a b") == Path("a b")


def test_files_of_others_in_a_checkpoint_are_passed_over(tmp_path: Path) -> None:
    """Names that are digits to Unicode and no number to Python, folders, and pipes, which would be waited for."""
    for folder in ("detect/offsets", "detect/commits", LOCKS, HEALTH):
        (tmp_path / folder).mkdir(parents=True)
    for folder in ("offsets", "commits"):
        (tmp_path / "detect" / folder / "²").touch()
        (tmp_path / "detect" / folder / "7.tmp").mkdir()
    os.mkfifo(tmp_path / "detect" / "offsets" / "0")
    os.mkfifo(tmp_path / "detect" / "commits" / "0")
    os.mkfifo(tmp_path / LOCKS / "detect")
    os.mkfifo(tmp_path / HEALTH / "detect.json")
    found = one(tmp_path)
    assert (found.running, found.unhealthy, found.committed) == (False, "not running", 0)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"host":"\xff","query":"\xff"}'])
def test_damaged_files_of_a_query_say_nothing_and_stop_nobody(tmp_path: Path, content: bytes) -> None:
    for folder in ("detect/offsets", "detect/commits", LOCKS, HEALTH):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / LOCKS / "detect").write_bytes(content)
    (tmp_path / HEALTH / "detect.json").write_bytes(content)
    assert holder_of(tmp_path, "detect") is None
    assert one(tmp_path).unhealthy == "not running"


def test_who_may_not_read_a_checkpoint_is_told_so_and_not_that_nothing_runs(tmp_path: Path) -> None:
    checkpoint = tmp_path / "checkpoint"
    me = os.geteuid()
    with running(checkpoint):
        checkpoint.chmod(0)
        if me == 0:
            os.seteuid(65_534)
        try:
            with pytest.raises(
                ValueError, match=r"can't be read \(Permission denied.*ask as the user that the job runs as"
            ):
                queries_of(checkpoint)
            with pytest.raises(PermissionError):
                is_held(checkpoint, "detect")
        finally:
            os.seteuid(me)
            checkpoint.chmod(0o700)


def test_a_name_that_no_folder_can_have_and_a_query_that_there_is_not_are_one_line(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for flags in (["--checkpoint", str(tmp_path / "loop")], ["--query", "detct"], ["--checkpoint", "x" * 300]):
        command = [sys.executable, "-m", "jobs", "status", *flags]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout) == (1, "")
        assert len(done.stderr.splitlines()) == 1, done.stderr
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("query", "well"), [("detect", False), ("publish", False), ("archive", True)])
def test_records_that_wait_for_a_pause_between_micro_batches_to_end_are_no_trouble(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, query: str, well: bool
) -> None:
    """Nothing was done for seven minutes: of a query that works once an hour that is as it should be."""
    monkeypatch.setattr("jobs.status.ends", lambda *_: ({"t": {"0": 0}}, {"t": {"0": 9}}))
    monkeypatch.setattr("jobs.runtime.lag.count_records", lambda *_: {})  # Kafka has gone
    for log in ("offsets", "commits"):
        (tmp_path / query / log).mkdir(parents=True)
    (tmp_path / query / "offsets" / "0").write_text('v1\n{}\n{"t":{"0":5}}')
    (tmp_path / query / "commits" / "0").touch()
    os.utime(tmp_path / query / "commits" / "0", (time.time() - 420, time.time() - 420))
    with running(tmp_path, query):
        healthy(tmp_path, query)
        [found] = statuses(tmp_path, [query], NO_KAFKA.model_copy(update={"lake_interval_seconds": 3_600.0}))
    assert (found.lag, found.lag_exact) == (4, False)
    assert (found.unhealthy or "").startswith("" if well else "at most 4 records behind")
    assert (found.unhealthy is None) == well
    assert "≤ 4" in list(as_table([found], "there").columns[3].cells)


def test_a_full_disk_under_a_running_job_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with running(tmp_path):
        healthy(tmp_path, heartbeat=time.time() - 100)
        assert "silent for" in (one(tmp_path).unhealthy or "")
        monkeypatch.setattr("jobs.status.shutil.disk_usage", lambda _: SimpleNamespace(free=0))
        assert (one(tmp_path).unhealthy or "").startswith("the disk of the checkpoint is full")
        healthy(tmp_path)
        assert one(tmp_path).unhealthy == "the disk of the checkpoint is full"


def test_a_person_sees_what_counts_as_unknown(tmp_path: Path) -> None:
    with running(tmp_path):
        healthy(tmp_path, facts={"currency_unknown": 1_200, "extras_refused": 0})
        caption = as_table([one(tmp_path)], "127.0.0.1:1").caption
    assert isinstance(caption, str)
    assert "1,200 scores since the start have a currency that the rates lack" in caption
    assert "extras" not in caption
