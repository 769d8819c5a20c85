"""The CSV file: nothing in it is a formula, and what is left out is said."""

import csv
import io

from hypothesis import given
from hypothesis import strategies as st

from page.search.csv_file import lines, safe
from page.search.wanted import COLUMNS, Found

ONE = Found("t1", 1_772_409_600_123, "c1", 12.5, "EUR", None, None, "FR", "chip", 0.25, 0.9, False, 3, 0, 7)


def read(pieces: list[list[Found]], most: int = 100) -> list[list[str]]:
    return list(csv.reader(io.StringIO(b"".join(lines(pieces, most)).decode(), newline="")))


@given(st.text())
def test_no_cell_begins_as_a_formula_does_and_what_is_harmless_stays(text: str) -> None:
    assert safe(text)[:1] not in (*"=+-@\t\r",)
    assert safe(text) in (text, f"'{text}")


@given(st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), min_size=1))
def test_whatever_an_id_holds_comes_back_out_of_the_file(text: str) -> None:
    header, row = read([[ONE._replace(customer_id=text)]])
    assert header == list(COLUMNS)
    assert row[2] == safe(text)
    assert row[1] == "2026-03-02T00:00:00.123+00:00"
    assert row[5] == ""


def test_what_is_beyond_the_limit_is_left_out_and_said() -> None:
    rows = read([[ONE] * 60, [ONE] * 41], 100)
    assert len(rows) == 102
    assert rows[-1] == ["only the first 100 rows: there are more; narrow the search"]
    assert len(read([[ONE] * 60, [ONE] * 40], 100)) == 101
