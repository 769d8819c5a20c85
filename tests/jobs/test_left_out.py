import logging

import pytest

from versions.left_out import LeftOut


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "versions.left_out"]


def test_the_first_is_logged_at_once_and_later_ones_once_a_minute_together(caplog: pytest.LogCaptureFixture) -> None:
    clock = [0.0]
    left_out = LeftOut("of scores, being no scores", lambda: clock[0])
    with caplog.at_level(logging.ERROR):
        left_out.add(0, None)
        assert said(caplog) == []
        left_out.add(2, "at partition 1, offset 7: not JSON")
        for second in range(1, 60):
            clock[0] = second
            left_out.add(1, f"at partition 0, offset {second}: too deep")
        assert len(said(caplog)) == 1
        clock[0] = 60.0
        left_out.add(0, None)
        clock[0] = 500.0
        left_out.add(0, None)
    assert said(caplog) == [
        "left out 2 of scores, being no scores, the first at partition 1, offset 7: not JSON",
        "left out 59 of scores, being no scores, the first at partition 0, offset 1: too deep",
    ]
