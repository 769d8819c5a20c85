"""What stands on the topics when a release is taken into use is read by all of its readers."""

from pathlib import Path

import msgspec
import pyarrow as pa
import pytest

from demo import records as demo_records
from jobs import score_counts
from jobs.publish_points import Publication
from jobs.throughput import Tally
from ml.evaluation import scored
from sinks.points_file import PointsFileSink
from tests.upgrade.release import Release
from torture import accounting


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Release:
    return Release(tmp_path_factory.mktemp("release"))


def test_the_demo_and_the_evaluation_read_its_scores(release: Release) -> None:
    values = release.values("scores")
    assert len(values) == len({demo_records.decode_score(value).transaction_id for value in values}) == 600
    read = scored._reader.read_all(values)
    assert (len(read.records), read.unreadable) == (600, {})
    assert sum(score.is_anomaly for score in read.records) == len(release.values("alerts")) > 0
    assert all(demo_records.decode_score(value).reasons for value in release.values("alerts"))


def test_the_accounting_reads_its_scores(release: Release) -> None:
    found = [accounting._found(value) for value in release.values("scores")]
    assert {score.fold_version for score in found} == {1}


def test_its_dead_letters_say_of_which_message_they_are(release: Release) -> None:
    letters = release.records("invalid")
    places = {demo_records.place_of_dead_letter(letter.headers) for letter in letters}
    assert len(places) == len(letters) == 3


def test_its_labels_are_read(release: Release) -> None:
    assert [demo_records.decode_label(value).source for value in release.values("labels")]


def test_its_scores_become_points(release: Release, tmp_path: Path) -> None:
    sink = PointsFileSink(tmp_path / "points")
    [row] = Publication(sink).publish(iter([as_published(release)]))
    tally = msgspec.msgpack.decode(row["tally"][0].as_py(), type=Tally)
    assert (tally.scored, tally.invalid, tally.unreadable) == (600, 3, 0)
    lines = (tmp_path / "points").read_text().splitlines()
    assert len([line for line in lines if line.startswith("transaction_score,")]) == 600
    assert len([line for line in lines if line.startswith("alert,")]) == len(release.values("alerts"))


def test_its_scores_count_for_no_thresholds_of_another_model(release: Release) -> None:
    records = release.records("scores")
    columns = [pa.array([r.value for r in records], pa.binary()), pa.array([r.timestamp for r in records])]
    rows = pa.Table.from_batches(
        list(score_counts.ScoreCounts({}).count(iter([pa.record_batch(columns, ["value", "time"])])))
    )
    [(digest, found)] = score_counts.added_up(rows).items()
    assert (digest, found.version) == ("", 1)
    assert found.counts["count"].sum() == len(records) + len(release.values("alerts"))


def as_published(release: Release) -> pa.RecordBatch:
    """The records of both topics, as the publishing query gives them to its tasks."""
    scores, letters = release.records("scores"), release.records("invalid")
    places = [demo_records.place_of_dead_letter(letter.headers) for letter in letters]
    none: list[int | None] = [None] * len(scores)
    both = [*scores, *letters]
    return pa.RecordBatch.from_pydict(
        {
            "value": pa.array([*(record.value for record in scores), *(None for _ in letters)], pa.binary()),
            "dead": pa.array([False] * len(scores) + [True] * len(letters)),
            "reason": pa.array([*none, *("the value is empty" for _ in letters)]),
            "kafka_time": pa.array([record.timestamp for record in both], pa.int64()),
            "partition": pa.array([record.partition for record in both], pa.int32()),
            "offset": pa.array([record.offset for record in both], pa.int64()),
            "input_partition": pa.array([*none, *(place[0] for place in places)], pa.int32()),
            "input_offset": pa.array([*none, *(place[1] for place in places)], pa.int64()),
        }
    )
