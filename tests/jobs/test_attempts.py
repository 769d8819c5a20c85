"""The count of applications that ended with a micro-batch, without the applications: those are in tests/integration."""

from pathlib import Path

import pytest

from jobs.runtime.storage import DurableFolder
from jobs.source.attempts import counted


@pytest.fixture
def folder(tmp_path: Path) -> DurableFolder:
    return DurableFolder.on_disk(tmp_path / "attempts")


def test_applications_that_end_with_the_same_micro_batch_are_counted_and_another_one_begins_at_one(
    folder: DurableFolder,
) -> None:
    assert [counted(folder, "detect", 7) for _ in range(3)] == [1, 2, 3]
    assert counted(folder, "publish", 7) == 1
    assert [counted(folder, "detect", 8) for _ in range(2)] == [1, 2]


@pytest.mark.parametrize("damaged", [b"", b"{", b"\xff\xfe", b"[]", b'{"micro_batch":"seven","ended":1}', b"\0" * 40])
def test_a_count_that_is_damaged_keeps_no_query_from_starting(
    folder: DurableFolder, damaged: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    counted(folder, "detect", 7)
    folder.write_newest("detect", damaged)
    assert counted(folder, "detect", 7) == 1
    assert "is damaged" in caplog.text
    assert counted(folder, "detect", 7) == 2
