"""Scores and labels with some of it changed, by chance and by malice, for the tests of profiles."""

import json
from typing import Any

from hypothesis import strategies as st

from ml.features import FEATURES
from tests.jobs.profile_log import label, score

NUMBERS = st.sampled_from(
    [0, -1, 2**15, 2**31, 2**47, 2**48, 2**63 - 1, 2**63, -(2**63), 10**20, 10**400, 0.5, 1e308, -1e308]
)
TIMES = st.sampled_from(
    [
        "0001-01-01T00:00:00Z",
        "0001-01-01T00:00:00+23:59",
        "9999-12-31T23:59:59.999999-23:59",
        "1969-12-31T23:59:59.999Z",
        "2023-11-14T22:14:00",
        "2023-11-14",
        "",
    ]
)
TEXTS = st.text(st.characters(codec="utf-8"), max_size=20) | st.sampled_from(["", "\x00", "x" * 70_000, "\ud800"])
ODD: st.SearchStrategy[Any] = NUMBERS | TIMES | TEXTS | st.none() | st.booleans() | st.lists(NUMBERS, max_size=40)
FEATURE_LISTS = st.lists(NUMBERS, min_size=len(FEATURES), max_size=len(FEATURES))


@st.composite
def foreign(draw: st.DrawFn) -> bytes | None:
    """A valid score or label with some of it changed: its fields, or its bytes."""
    number = draw(st.integers(0, 30))
    fields = json.loads(draw(st.sampled_from([score(number, number), label(number)])))
    for name in draw(st.lists(st.sampled_from(sorted(fields)), max_size=3)):
        fields[name] = draw(ODD)
    if "features" in fields and draw(st.booleans()):
        fields["features"] = draw(FEATURE_LISTS)
    value = bytearray(json.dumps(fields, ensure_ascii=False).encode("utf-8", "surrogatepass"))
    for place, byte in draw(st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=2)):
        value[int(place * (len(value) - 1))] = byte
    return (
        draw(st.sampled_from([None, b"", b"[" * 100_000, b"\xff\xfe"]))
        if draw(st.integers(0, 20)) == 0
        else bytes(value)
    )
