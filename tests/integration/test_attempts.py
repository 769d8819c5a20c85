"""An application that ended within a micro-batch is remembered by the next one, as often as it happened in a row."""

from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from jobs.source import attempts
from jobs.source.attempts import ended_with_it


@pytest.fixture
def query(tmp_path: Path) -> Path:
    for folder in ("offsets", "commits"):
        (tmp_path / "detect" / folder).mkdir(parents=True)
    return tmp_path / "detect"


def test_each_application_that_ended_in_the_same_micro_batch_counts_once(
    spark: SparkSession,
    query: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    applications: dict[str, dict[tuple[str, str], tuple[int | None, int]]] = {}

    def start(application: str) -> int:
        monkeypatch.setattr(attempts, "_found", applications.setdefault(application, {}))
        return ended_with_it(spark, str(query.parent), "detect")

    assert start("a") == 0
    (query / "offsets" / "0").write_text("planned")
    assert [start("b"), start("b"), start("c"), start("d"), start("d")] == [1, 1, 2, 3, 3]
    (query / "commits" / "0").write_text("done")
    assert [start("d"), start("e")] == [0, 0]
    (query / "offsets" / "1").write_text("planned")
    assert [start("e"), start("f"), start("f"), start("g")] == [0, 1, 1, 2]  # e has planned it itself
    assert [path.name for path in (query.parent / "attempts").iterdir() if path.name[0] != "."] == ["detect.4"]
