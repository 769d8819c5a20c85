"""The service's log: all lines in a file, and no stack trace on the console."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from serving.errors import ServiceError
from serving.log_files import set_up_logs
from settings import Settings


@pytest.fixture(autouse=True)
def _root() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    for handler in root.handlers:
        if handler not in handlers:
            handler.close()
    root.handlers[:], root.level = handlers, level


def test_an_error_is_one_line_on_the_console_and_whole_in_the_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    set_up_logs(Settings(log_dir=tmp_path / "logs"))
    log = logging.getLogger("serving.test")
    try:
        raise ValueError("no such thing")
    except ValueError:
        log.exception("a request failed")
    log.info("ready")
    assert capsys.readouterr().err == "ERROR a request failed: ValueError: no such thing\n"
    written = (tmp_path / "logs" / "serving.log").read_text()
    assert "Traceback" in written
    assert "INFO serving.test: ready" in written


def test_a_folder_that_cannot_be_used_is_said_in_words(tmp_path: Path) -> None:
    (tmp_path / "logs").write_text("a file")
    with pytest.raises(ServiceError, match=r"the log folder .* can't be used"):
        set_up_logs(Settings(log_dir=tmp_path / "logs"))
