"""Work in a thread ends with its block, and its errors are not lost in it."""

from threading import Event

import pytest

from programs.background import Background


class Work(Background):
    def __init__(self, error: Exception | None = None) -> None:
        super().__init__()
        self.over = False
        self._error = error

    def work(self, stopped: Event) -> None:
        if self._error is not None:
            raise self._error
        stopped.wait()
        self.over = True


def test_the_work_is_over_when_the_block_is_left() -> None:
    with Work() as work:
        assert not work.over
    assert work.over
    work.check()


def test_an_error_of_the_work_is_raised_by_whoever_checks() -> None:
    with Work(ValueError("a record that nobody can read")) as work:
        pass
    with pytest.raises(ValueError, match="nobody can read"):
        work.check()
