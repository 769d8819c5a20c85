"""The table of thresholds that a start goes on with, whatever became of its file."""

from pathlib import Path

import pytest

from detection.durable_folder import DurableFolder
from detection.threshold_store import ThresholdStore
from ml.thresholds.table import Table
from versions.thresholds import newest_kept


def kept(folder: Path) -> ThresholdStore:
    return ThresholdStore(DurableFolder.on_disk(folder))


@pytest.mark.parametrize("content", [b"", b"{", b"\0" * 30])
def test_a_start_does_not_fail_for_a_newest_table_that_is_damaged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, content: bytes
) -> None:
    made = [Table(version, 1, 0, 1, 0, 0.5, {}) for version in (3, 4)]
    digests = [kept(tmp_path).keep(table) for table in made]
    assert newest_kept(kept(tmp_path)) == made[1]
    (tmp_path / f"4-{digests[1]}.json").write_bytes(content)
    assert newest_kept(kept(tmp_path)) is None
    assert "table of thresholds 4" in caplog.text
    assert "the model's own threshold judges" in caplog.text


def test_without_tables_there_is_none(tmp_path: Path) -> None:
    assert newest_kept(kept(tmp_path)) is None
