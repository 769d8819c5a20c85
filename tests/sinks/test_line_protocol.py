import itertools
import math
import re
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from sinks.line_protocol import MAX_CHARACTERS, points
from tests.sinks.database import Database

TRICKY = st.text(st.sampled_from(list(",= \\\"'\n\r\t\0#é😀a")), min_size=1, max_size=8)
NAMES = TRICKY | st.just("amount")
TEXTS = TRICKY | st.text(max_size=300)
WHOLE = st.integers(-(2**63), 2**63 - 1)
FINITE = st.floats(allow_nan=False, allow_infinity=False)
STARTS = itertools.count(0, 1000)


def representable(text: str) -> str:
    """What the module promises of a tag's value."""
    printable = re.sub(r"[\x00-\x1f\x7f]", " ", text[:MAX_CHARACTERS])
    return re.sub(r"\\+(?=[ ,=]|\Z)", lambda found: "/" * len(found[0]), printable)


def representable_name(text: str) -> str:
    """What the module promises of a tag's or a field's name."""
    return representable(text).replace("\\", "/")


@st.composite
def rows(draw: st.DrawFn) -> list[dict[str, Any]]:
    row = st.fixed_dictionaries(
        {
            "tag": TEXTS | st.none(),
            "text": TEXTS | st.none(),
            "whole": WHOLE | st.none(),
            "number": FINITE | st.none(),
            "truth": st.booleans(),
        }
    )
    return draw(st.lists(row, min_size=1, max_size=20))


@example(
    rows=[{"tag": "\\ \\\\\\,", "text": "\n", "whole": 0, "number": 0.0, "truth": False}],
    measurement="m",
    tag="=",
    field="=",
)
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=rows(), measurement=NAMES, tag=NAMES, field=NAMES)
def test_what_is_written_is_what_the_server_gives_back(
    database: Database, rows: list[dict[str, Any]], measurement: str, tag: str, field: str
) -> None:
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    tag, field, start = f"t{tag}", f"f{field}", next(STARTS)
    fields = {field: pa.array(columns["text"], pa.string())} | {
        name: columns[name] for name in ("whole", "number", "truth")
    }
    with database.sink() as sink:
        sink.write(points(measurement, {tag: columns["tag"]}, fields, range(start, start + len(rows))))

    name = quoted(re.sub("^#", "_", representable_name(measurement)))
    found = database.query(f"SELECT * FROM {name} WHERE time >= {start}")
    assert [row["time"] for row in found] == list(range(start, start + len(rows)))
    for row, written in zip(found, rows, strict=True):
        assert row.get(representable_name(tag)) == (representable(written["tag"]) if written["tag"] else None)
        assert row.get(representable_name(field)) == written["text"]
        assert row["truth"] == written["truth"]
        assert row.get("whole") == written["whole"]
        assert written["number"] is None or float(row["number"]) == written["number"]


def quoted(identifier: str) -> str:
    """An identifier in InfluxQL."""
    return '"' + identifier.replace("\\", "\\\\").replace('"', '\\"') + '"'


def test_a_field_that_is_null_and_a_tag_that_is_empty_are_left_out() -> None:
    assert points("m", {"t": [None, "", "x"]}, {"a": [1, 2, None], "b": [None, True, True]}, [1, 2, 3]) == (
        b"m a=1i 1\nm a=2i,b=true 2\nm,t=x b=true 3\n"
    )


def test_a_row_without_any_field_is_no_point() -> None:
    assert points("m", {"t": ["x", "y"]}, {"a": [None, 1], "b": pa.array([None, None])}, [1, 2]) == b"m,t=y a=1i 2\n"


def test_no_rows_are_no_lines() -> None:
    assert points("m", {"t": []}, {"a": []}, []) == b""


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_a_float_that_is_not_finite_is_an_error_that_names_field_and_row(number: float) -> None:
    with pytest.raises(ValueError, match=r"field amount: .* row 2 has"):
        points("m", {}, {"amount": [1.0, None, number]}, [1, 2, 3])


def test_a_column_that_influxdb_has_no_type_for_is_an_error_that_names_it() -> None:
    with pytest.raises(ValueError, match=r"field reasons: .* not list"):
        points("m", {}, {"reasons": [["a"]]}, [1])


def test_many_rows_are_as_many_lines() -> None:
    count = 100_000
    lines = points("m", {"t": ["a", "b"] * (count // 2)}, {"n": range(count)}, range(count))
    assert lines.count(b"\n") == count
    assert lines.endswith(b"m,t=b n=99999i 99999\n")
