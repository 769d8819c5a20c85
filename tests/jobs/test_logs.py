"""A disk that is full or a console that nobody reads is said in words, and stops neither the job nor its end."""

import contextvars
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from jobs.runtime import logs
from settings import Settings

ROOT = Path(__file__).parents[2]
FULL = Path("/dev/full")
needs_full = pytest.mark.skipif(not FULL.exists(), reason="this system has no device that is always full")


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    yield
    for handler in root.handlers:
        if handler not in before:
            with suppress(OSError):  # what could not be written is tried once more
                handler.close()
    root.handlers[:] = before
    root.setLevel(level)


@needs_full
def test_a_log_file_on_a_full_disk_is_said_once_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "detect.log").symlink_to(FULL)
    logs.set_up_logs(Settings(log_dir=tmp_path), "detect")
    for number in range(100):
        logging.getLogger("job").info("line %d", number)
    (said,) = capsys.readouterr().err.splitlines()
    assert said.startswith(f"WARNING: the log file {tmp_path / 'detect.log'} can't be written (")
    assert "a disk is full" in said


def test_a_log_file_that_is_moved_or_deleted_is_begun_again_and_one_without_its_folder_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, log = tmp_path / "logs", logging.getLogger("job")
    file = folder / "detect.log"
    logs.set_up_logs(Settings(log_dir=folder), "detect")
    log.info("first")
    file.rename(folder / "detect.log.old")
    log.info("second")
    assert ("first" in file.read_text(), "second" in file.read_text()) == (False, True)
    file.unlink()
    log.info("third")
    assert "third" in file.read_text()
    assert capsys.readouterr().err == ""
    folder.rename(tmp_path / "elsewhere")
    for _ in range(3):
        log.info("nowhere")
    (said,) = capsys.readouterr().err.splitlines()
    assert said.startswith(f"WARNING: the log file {file} can't be written (")
    assert not folder.exists()
    folder.mkdir()
    log.info("last")
    assert "last" in file.read_text()


def test_the_console_gets_one_line_of_an_error_and_the_log_file_the_trace(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    logs.set_up_logs(Settings(log_dir=tmp_path), "detect")

    def fail() -> None:
        try:
            raise OSError(28, "No space left on device")
        except OSError:
            logging.getLogger("job").exception("the watch failed")

    contextvars.Context().run(fail)  # in no query, whatever other tests of this process have run
    (said,) = capsys.readouterr().err.splitlines()
    assert said.startswith("ERROR - -: the watch failed: OSError: [Errno 28] No space left on device (a disk is full)")
    assert "Traceback" in (tmp_path / "detect.log").read_text()


def test_a_log_that_others_append_to_stays_small_where_its_copy_can_not_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "workers.log"
    path.write_bytes(b"a" * 20_000)

    def full(_: Path, __: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    logs.keep_small(path, largest=10_000)
    assert path.stat().st_size == 0


@needs_full
def test_a_console_on_a_full_disk_keeps_neither_the_job_nor_its_end_from_going_on() -> None:
    script = """
import sys
from jobs.runtime import console
from jobs.runtime import ending
sys.stdout.write("what is still to be written")
console._print("a line")
ending._flush()
sys.stderr.write("went on")
sys.stderr.flush()
import os
os._exit(0)
"""
    with FULL.open("w") as full:
        done = subprocess.run(
            [sys.executable, "-c", script],
            cwd=ROOT,
            env=os.environ | {"PYTHONUNBUFFERED": ""},
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert (done.returncode, done.stderr) == (0, "went on")
