"""Which texts become values of a tag: few enough that InfluxDB's limits on values and series are never reached."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import SparkSession

from detection.storage import decoded
from jobs.runtime.storage import DurableFolder
from sinks.line_protocol import MAX_CHARACTERS

MOST: Final[Mapping[str, int]] = {"merchant_category": 1_000, "channel": 100, "country": 300, "currency": 300}
"""By tag. InfluxDB 1.8 drops points with a tag's 100,001st value, and those of a 1,000,001st series."""

UNKNOWN: Final = "unknown"
OTHER: Final = "other"

Values = dict[str, list[str]]
"""By tag, in the order in which they were taken up."""

_FILE: Final = "values"

_values: Final = msgspec.json.Decoder(Values).decode


class TagValues:
    """The values that a checkpoint's points have, durable: a value stays one, and a tag that is full stays full.

    So a point's tags are the same however often, and in whatever micro-batch, it is written again.
    """

    def __init__(self, spark: SparkSession, checkpoint: str) -> None:
        self._folder = DurableFolder(spark, f"{checkpoint}/tags")
        content = self._folder.read_newest(_FILE)
        self.known: Values = {} if content is None else decoded(content, f"tags/{_FILE}", _values)

    def take(self, found: Mapping[str, Iterable[str]]) -> bool:
        """Take up further values while there is room; returns whether any was taken, so that points change."""
        values = with_more(self.known, found)
        if values == self.known:
            return False
        self._folder.write_newest(_FILE, msgspec.json.encode(values))
        self.known = values
        return True


def with_more(known: Values, found: Mapping[str, Iterable[str]]) -> Values:
    """The values of each tag with those found, as far as there is room.

    >>> with_more({"channel": ["chip"]}, {"channel": ["online", "chip"]})
    {'channel': ['chip', 'online']}
    """
    merged = {tag: [*dict.fromkeys([*known.get(tag, []), *sorted(set(texts))])] for tag, texts in found.items()}
    return known | {tag: texts[: max(MOST[tag], len(known.get(tag, [])))] for tag, texts in merged.items() if texts}


def said(texts: "pa.Array[Any]") -> pa.StringArray:
    """A tag's texts as they would be its values: "unknown" for null and for an empty one, and no longer than a tag is.

    A point without a tag would be missing from its panel.
    """
    text = pc.utf8_slice_codeunits(texts.cast(pa.string()), 0, MAX_CHARACTERS)
    said: pa.StringArray = pc.if_else(pc.equal(text, pa.scalar("")).fill_null(True), UNKNOWN, text)
    return said


def bounded(tag: str, texts: "pa.Array[Any]", known: Values) -> tuple[pa.StringArray, list[str]]:
    """(the tag's values, texts that are not values yet and may become values): "other" for them, once the tag is full."""
    values = known.get(tag, [])
    text = said(texts)
    one = pc.is_in(text, pa.array([*values, UNKNOWN], pa.string()))
    room = MOST[tag] - len(values)
    fresh = pc.unique(text.filter(pc.invert(one))).to_pylist() if room > 0 and not pc.all(one).as_py() else []
    return pc.if_else(one, text, OTHER), sorted(map(str, fresh))[:room]
