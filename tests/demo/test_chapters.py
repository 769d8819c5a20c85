"""The chapters fill the time that there is, and each comes whole or not at all."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from demo.chapters import CHAPTERS, NAMES, planned


@given(st.floats(1, 10_000), st.lists(st.sampled_from(NAMES), unique=True))
def test_they_take_the_time_that_there_is_in_their_order(seconds: float, names: list[str]) -> None:
    parts = planned(seconds, names)
    assert sum(part.seconds for part in parts) == pytest.approx(seconds)
    places = [CHAPTERS.index(part.chapter) for part in parts]
    assert places == sorted(places)
    if names:
        assert {part.chapter.name for part in parts} == set(names)
    elif len(parts) > 1:
        assert all(part.seconds >= part.chapter.least_seconds for part in parts)


def test_five_minutes_hold_the_whole_story_and_one_minute_the_forest() -> None:
    assert [part.chapter.name for part in planned(300)] == list(NAMES)
    assert [part.chapter.name for part in planned(60)] == ["forest"]


def test_until_ctrl_c_the_last_chapter_has_no_end() -> None:
    assert [(part.chapter.name, part.seconds > 0) for part in planned(0)] == [("forest", True), ("labels", False)]
    assert [(part.chapter.name, part.seconds) for part in planned(0, ["drift"])] == [("drift", 0.0)]
