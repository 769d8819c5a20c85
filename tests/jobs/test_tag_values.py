"""A flood of texts in tags: InfluxDB keeps few values of each tag, and still every score is exactly one point."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import msgspec
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs import tag_values, tallying, throughput
from jobs.publish_points import Publication
from jobs.score_sums import added_up
from jobs.tag_values import MOST, Values, bounded, with_more
from jobs.tallying import of_held, written
from jobs.throughput import Tally
from stack import influxdb
from stack.influxdb import InfluxDB
from tests.jobs.test_publish_points import COLUMNS, score
from tests.sinks.database import Database

TEXTS = st.sampled_from([None, "", "unknown", "other", *"abcdefgh", "é", "\t", "x" * 300, "x" * 299 + "y"]) | st.text(
    st.characters(codec="utf-8", exclude_characters="\n\r"), max_size=3
)


@dataclass
class Kept:
    """A sink that keeps its lines."""

    lines: list[bytes] = field(default_factory=list)

    def write(self, lines: bytes) -> None:
        self.lines += lines.splitlines()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        pass


def batch(values: Sequence[bytes]) -> pa.RecordBatch:
    rows = [(value, False, 1_700_000_000_000, 0, row, None, None) for row, value in enumerate(values)]
    columns = [pa.array(column, field.type) for column, field in zip(zip(*rows, strict=True), COLUMNS, strict=True)]
    return pa.record_batch(columns, schema=COLUMNS)


@dataclass
class Known:
    """The known values, as the query keeps them."""

    known: Values

    def take(self, found: Mapping[str, Iterable[str]]) -> bool:
        before, self.known = self.known, with_more(self.known, found)
        return self.known != before


def publish(sink: Any, values: Sequence[bytes], known: Values) -> Values:
    """What the query does with a micro-batch; returns the values that are known then."""

    def tally(records: pa.RecordBatch, known: Values, before: Values | None = None) -> Tally:
        [answer] = Publication(sink, known=known, written=before).publish(iter([records]))
        return msgspec.msgpack.decode(answer["tally"][0].as_py(), type=Tally)

    kept, records = Known(known), batch(values)
    whole = written(kept, lambda *by: tally(records, *by), lambda some, by: tally(of_held(some), by))
    summed = added_up(whole.sums)
    assert whole.scored == len(values) == (0 if summed is None else sum(summed["count"].to_pylist()))
    return kept.known


def identities(lines: Sequence[bytes], measurement: bytes) -> set[tuple[bytes, bytes]]:
    """Of the points of a measurement: what InfluxDB knows them by."""
    found = [re.fullmatch(rb"((?:\\.|[^ \\])+) .* (\d+)", line) for line in lines]
    return {(match[1], match[2]) for match in found if match is not None and match[1].split(b",")[0] == measurement}


@given(
    texts=st.lists(st.tuples(TEXTS, TEXTS, TEXTS, TEXTS), min_size=1, max_size=60),
    cuts=st.lists(st.integers(1, 20)),
    most_held=st.sampled_from([0, 1, 5, 2_000]),
)
def test_however_micro_batches_are_cut_and_repeated_each_score_is_one_point(
    texts: list[tuple[str | None, str | None, str | None, str | None]], cuts: list[int], most_held: int
) -> None:
    with pytest.MonkeyPatch.context() as patched:
        for module in (throughput, tallying):
            patched.setattr(module, "MOST_HELD", most_held)
        patched.setattr(tag_values, "MOST", {"merchant_category": 4, "channel": 2, "country": 3, "currency": 2})
        values = [
            msgspec.json.encode(
                score(n, merchant_category=category, channel=channel, country=country, currency=currency)
            )
            for n, (category, channel, country, currency) in enumerate(texts)
        ]
        sink, known, place = Kept(), Values(), 0
        for cut in [*cuts, len(values)]:
            known = publish(sink, values[place : place + cut], known) if values[place:] else known
            place += cut
        points = [line for line in sink.lines if line.startswith(b"transaction_score")]
        assert len(points) == len(values), "written twice"
        for again in (values, values[::-1]):
            assert publish(sink, again, known) == known or any(
                len(known.get(tag, [])) < most for tag, most in tag_values.MOST.items()
            )
        assert len(identities(sink.lines, b"transaction_score")) == len(values)
        assert len(identities(sink.lines, b"alert")) == sum(n % 3 == 0 for n in range(len(values)))
        assert all(len(known.get(tag, [])) <= most for tag, most in tag_values.MOST.items())


def test_a_value_stays_one_and_another_text_stays_other_once_a_tag_is_full() -> None:
    full = {"channel": [f"c{number}" for number in range(MOST["channel"])]}
    assert with_more(full, {"channel": ["new"]}) == full
    assert bounded("channel", pa.array(["c1", "new", None]), full)[0].to_pylist() == ["c1", "other", "unknown"]
    assert bounded("channel", pa.array(["new"]), full)[1] == []


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_more_categories_than_influxdb_takes_by_default_cost_no_point(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """InfluxDB 1.8 as it comes keeps its index in memory, and takes 100,000 values of a tag."""
    monkeypatch.setattr(influxdb, "CONFIGURATION", influxdb.CONFIGURATION.replace('"tsi1"', '"inmem"'))
    server = InfluxDB(tmp_path / "influxdb")
    server.start()
    try:
        database = Database(server, "scoreline")
        values = [msgspec.json.encode(score(n, merchant_category=f"category {n}")) for n in range(101_000)]
        known: Values = {}
        for start in range(0, len(values), 10_000):
            known = publish(database.sink(), values[start : start + 10_000], known)
        [found] = database.query("SELECT count(anomaly_score) FROM transaction_score")
        assert found["count"] == len(values)
        [alerts] = database.query("SELECT count(anomaly_score) FROM alert")
        assert alerts["count"] == len(range(0, 101_000, 3))
    finally:
        server.stop()
