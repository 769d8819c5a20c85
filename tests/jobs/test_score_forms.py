"""Every reader of scores takes those of the release before and today's, to the same effect, and refuses a later form."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pytest

from demo.records import decode_place, decode_score
from detection.score_json import read
from jobs.publish_points import Publication
from jobs.score_counts import ScoreCounts, added_up
from ml.evaluation.scored import Scored
from ml.schema import Reader, Unreadable
from ml.thresholds.grid import Grid
from sinks.points_file import PointsFileSink
from tests.detection.test_score_json import OLD
from torture.accounting import Found

BEFORE = OLD.read_bytes().splitlines()
NOW = [msgspec.json.encode(read(line)) for line in BEFORE]
LATER = [line.replace(b'"schema_version":2', b'"schema_version":3') for line in NOW]
FORMS = pytest.mark.parametrize("forms", [BEFORE, NOW, [*BEFORE[:9], *NOW[9:]]], ids=["before", "now", "mixed"])


def test_the_forms_differ() -> None:
    assert len(BEFORE) == len(NOW)
    assert not any(b"schema_version" in line for line in BEFORE)
    assert all(b'"schema_version":2' in line for line in NOW)


def published(values: list[bytes], file: Path) -> tuple[bytes, Any]:
    n = len(values)
    batch = pa.record_batch(
        {
            "value": pa.array(values, pa.binary()),
            "dead": pa.array(np.zeros(n, bool)),
            "reason": pa.nulls(n, pa.string()),
            "kafka_time": pa.array(np.full(n, 1_772_500_000_000)),
            "partition": pa.array(np.zeros(n, np.int32)),
            "offset": pa.array(np.arange(n)),
            "input_partition": pa.nulls(n, pa.int32()),
            "input_offset": pa.nulls(n, pa.int64()),
        }
    )
    (tally,) = Publication(PointsFileSink(file)).publish(iter([batch]))
    return file.read_bytes() if file.exists() else b"", msgspec.msgpack.decode(tally["tally"][0].as_py())


def counted(values: list[bytes]) -> Any:
    batch = pa.record_batch(
        {"value": pa.array(values, pa.binary()), "time": pa.array([1_772_900_000_000] * len(values))}
    )
    grids = {"d1" * 8: Grid(0.1, 0.5, 0.9)}
    tables = list(ScoreCounts(grids).count(iter([batch])))
    return added_up(pa.Table.from_batches(tables))["d1" * 8].counts.tobytes() if tables else b""


@FORMS
def test_publish_writes_the_same_points(forms: list[bytes], tmp_path: Path) -> None:
    lines, tally = published(forms, tmp_path / "points")
    assert (lines, tally) == published(BEFORE, tmp_path / "others")
    assert (tally["scored"], tally["unreadable"]) == (len(BEFORE), 0)
    assert lines.count(b"transaction_score,") == len(BEFORE)


@FORMS
def test_thresholds_count_the_same(forms: list[bytes]) -> None:
    assert counted(forms) == counted(BEFORE) != b""


READERS = {
    "demo": decode_score,
    "accounts": decode_place,
    "evaluate": Reader(Scored).read,
    "torture": msgspec.json.Decoder(Found).decode,
}


def seen(found: Any) -> dict[str, Any]:
    fields = msgspec.structs.asdict(found) | ({"features": found.row} if isinstance(found, Found) else {})
    return {name: value for name, value in fields.items() if name != "schema_version"}


@FORMS
@pytest.mark.parametrize("reader", READERS)
def test_other_readers_read_the_same(reader: str, forms: list[bytes]) -> None:
    assert [seen(READERS[reader](line)) for line in forms] == [seen(READERS[reader](line)) for line in BEFORE]


@pytest.mark.parametrize("reader", [*READERS.values(), read])
def test_a_later_form_is_refused(reader: Callable[[bytes], Any], tmp_path: Path) -> None:
    with pytest.raises((Unreadable, msgspec.ValidationError), match=r"schema_version|<= 2"):
        reader(LATER[0])
    lines, tally = published(LATER, tmp_path / "points")
    assert (lines, tally["unreadable"]) == (b"", len(LATER))
    assert counted(LATER) == b""
