"""Times as texts in the forms that files have, beside the plain ISO 8601 that Arrow reads."""

from typing import Any, Final

import pyarrow.compute

pc: Any = pyarrow.compute

_FORM: Final = (
    r"^(?P<year>\d{4})[-/.](?P<month>\d{1,2})[-/.](?P<day>\d{1,2})"
    r"(?:(?:T|t|\s+)(?P<hour>\d{1,2}):(?P<minute>\d{1,2})(?::(?P<second>\d{1,2})(?:[.,](?P<part>\d{1,9}))?)?)?"
    r"\s*(?P<zone>Z|z|UTC|utc|GMT|[+-]\d{2}(?::?\d{2})?)?$"
)


def as_iso(column: Any) -> Any:
    """Texts (n,) in ISO 8601 with milliseconds and, where they name one, a zone; null where they are no such time.

    The year comes first, so that no day is taken for a month; its parts may lack a leading zero, be parted by slashes or
    points, and have up to nine digits of a second, of which three count.

    >>> import pyarrow as pa
    >>> as_iso(pa.array(["2016/04/20 10:12:10.123456789", "2016-4-2 9:05 UTC", "2016/04/20", "04/20/2016"])).to_pylist()
    ['2016-04-20T10:12:10.123', '2016-04-02T09:05:00.000Z', '2016-04-20T00:00:00.000', None]
    """
    found = pc.extract_regex(column, _FORM)

    def digits(name: str, length: int, missing: str = "0") -> Any:
        text = pc.struct_field(found, name)
        return pc.utf8_lpad(pc.if_else(pc.equal(text, ""), missing, text), length, "0")

    part = pc.utf8_slice_codeunits(pc.utf8_rpad(pc.struct_field(found, "part"), 3, "0"), 0, 3)
    zone = pc.struct_field(found, "zone")
    zone = pc.replace_substring_regex(zone, "^(?i:z|utc|gmt)$", "Z")
    zone = pc.replace_substring_regex(zone, r"^([+-]\d\d):?(\d\d)$", r"\1:\2")
    day = pc.binary_join_element_wise(digits("year", 4), digits("month", 2), digits("day", 2), "-")
    time = pc.binary_join_element_wise(digits("hour", 2), digits("minute", 2), digits("second", 2), ":")
    stamp = pc.binary_join_element_wise(day, time, "T")
    return pc.binary_join_element_wise(pc.binary_join_element_wise(stamp, part, "."), zone, "")
