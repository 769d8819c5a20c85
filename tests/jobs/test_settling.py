"""Spark's files are on the local disk before what depends on them goes out."""

import os
from pathlib import Path

import pytest

from jobs.runtime.settling import SparkFiles, wait


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """As Spark leaves it after micro-batch 2, while 3 is planned."""
    names = ["metadata", "sources/0/0", *(f"offsets/{n}" for n in range(4)), *(f"commits/{n}" for n in range(3))]
    for name in [*names, "state/0/0/3.changelog", "state/0/1/3.changelog", "state/0/1/SSTs/1.sst", "state/0/0/.4.tmp"]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    return tmp_path


@pytest.fixture
def synced(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was brought onto the disk, in this order."""
    seen: list[str] = []

    def fsync(descriptor: int) -> None:
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        seen.append(path.relative_to(checkpoint).as_posix())

    monkeypatch.setattr(os, "fsync", fsync)
    return seen


def test_a_plan_is_on_the_disk_with_the_commit_before_it(checkpoint: Path, synced: list[str]) -> None:
    seen = synced
    wait(SparkFiles(checkpoint).plan(3))
    assert set(seen) == {"offsets/3", "offsets", "commits/2", "commits"}
    seen.clear()
    wait(SparkFiles(checkpoint).plan(0))
    assert set(seen) == {"offsets/0", "offsets", "metadata", "sources/0/0", "sources/0", "sources", "."}


def test_what_is_new_of_the_state_is_on_the_disk_once_files_before_folders(checkpoint: Path, synced: list[str]) -> None:
    seen = synced
    files = SparkFiles(checkpoint)
    files.state()
    assert set(seen[:3]) == {"state/0/0/3.changelog", "state/0/1/3.changelog", "state/0/1/SSTs/1.sst"}
    assert set(seen[3:]) == {"state/0/0", "state/0/1", "state/0/1/SSTs"}
    seen.clear()
    files.state()
    assert seen == []
    (checkpoint / "state/0/1/4.changelog").write_bytes(b"y")
    (checkpoint / "state/0/0/3.changelog").unlink()
    files.state()
    assert seen == ["state/0/1/4.changelog", "state/0/1"]


def test_a_disk_that_fails_is_not_passed_over(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(OSError, match="Input/output error"):
        wait(SparkFiles(checkpoint).plan(3))
    with pytest.raises(OSError, match="Input/output error"):
        SparkFiles(checkpoint).state()


def test_what_spark_deletes_meanwhile_is_no_failure_and_elsewhere_there_is_nothing_to_do(tmp_path: Path) -> None:
    wait(SparkFiles(tmp_path).plan(7))
    SparkFiles(tmp_path).state()
    wait(SparkFiles(None).plan(7))
    SparkFiles(None).state()
