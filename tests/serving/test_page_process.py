"""The page beside the service: started again when it dies, ended with the service, no trouble where it can't start."""

import sys
import time
from pathlib import Path

from serving.page_process import PageProcess
from settings import Settings


def until(what: object, seconds: float = 120.0) -> None:
    deadline = time.monotonic() + seconds
    while not what():  # type: ignore[operator]
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_page_that_dies_is_started_again_and_one_that_runs_ends_with_the_service(tmp_path: Path) -> None:
    code = "import pathlib, sys, os; p = pathlib.Path(sys.argv[1]); n = len(p.read_text()) if p.exists() else 0; "
    code += "p.write_text('x' * (n + 1)); sys.exit(1) if n == 0 else sys.stdin.read()"
    page = PageProcess(Settings(), (sys.executable, "-c", code, str(tmp_path / "starts")))
    page.start()
    until(lambda: (tmp_path / "starts").exists() and (tmp_path / "starts").read_text() == "xx")
    assert page.starts == 2
    page.close()
    assert page._process is not None
    assert page._process.poll() is not None


def test_a_page_that_can_not_be_started_is_logged_and_the_service_goes_on(tmp_path: Path) -> None:
    page = PageProcess(Settings(), (str(tmp_path / "nothing"),))
    page.start()
    until(lambda: page.starts == 1)
    page.close()
