"""How far a query has come, from the files of its checkpoint."""

from pathlib import Path

import pytest

from jobs.runtime.claim import check_whole
from jobs.runtime.errors import Fatal
from jobs.runtime.health import HealthFile, read_health
from jobs.runtime.lag import lag
from jobs.runtime.progress import Progress, progress

METADATA = 'v1\n{"batchWatermarkMs":0,"batchTimestampMs":1,"conf":{"a":"b"}}\n'


def checkpoint(folder: Path, offsets: list[str], commits: int) -> Path:
    for name in ("offsets", "commits", "sources/0"):
        (folder / name).mkdir(parents=True)
    (folder / "metadata").write_text('{"id":"x"}')
    (folder / "sources/0/0").write_text('v1\n{"t":{"0":5,"1":7}}')
    for number, line in enumerate(offsets):
        (folder / "offsets" / str(number)).write_text(METADATA + line)
    for number in range(commits):
        (folder / "commits" / str(number)).write_text('v1\n{"nextBatchWatermarkMs":0}')
    return folder


def test_before_the_first_commit_it_stands_where_it_began(tmp_path: Path) -> None:
    found = progress(checkpoint(tmp_path / "detect", ['{"t":{"0":9,"1":9}}'], commits=0))
    assert found == Progress(None, None, {"t": {"0": 5, "1": 7}}, 0, {"t": {"0": 9, "1": 9}})


def test_after_a_commit_it_stands_where_that_ended_and_knows_what_is_planned(tmp_path: Path) -> None:
    found = progress(checkpoint(tmp_path / "detect", ['{"t":{"0":9}}', '{"t":{"0":12}}'], commits=1))
    assert (found.committed, found.read, found.planned) == (0, {"t": {"0": 9}}, 1)
    assert lag(found.read, {"t": {"0": 0}}, {"t": {"0": 20}}) == 11


def test_no_checkpoint_and_a_torn_one_are_no_error(tmp_path: Path) -> None:
    assert progress(tmp_path / "none") == Progress(None, None, {}, None, {})
    torn = checkpoint(tmp_path / "detect", ["", '{"t":{"0":'], commits=2)
    assert progress(torn).read == {}


@pytest.mark.parametrize("lost", ["metadata", "offsets/1"])
def test_a_checkpoint_that_lost_a_part_is_refused_with_what_it_lacks(tmp_path: Path, lost: str) -> None:
    folder = checkpoint(tmp_path / "detect", ['{"t":{"0":9}}', '{"t":{"0":12}}'], commits=2)
    check_whole(folder)
    (folder / lost).unlink()
    with pytest.raises(Fatal, match=f"lacks {lost}.*--checkpoint"):
        check_whole(folder)


def test_a_health_file_is_whole_at_any_time_and_is_not_written_where_its_folder_is_gone(tmp_path: Path) -> None:
    file = HealthFile(tmp_path / "health", "detect", 1)
    for number in range(200):
        file.change(micro_batch=number, state="running" if number % 2 else "failing")
        found = read_health(tmp_path / "health", "detect")
        assert found is not None
        assert found.micro_batch == number
    for left in (tmp_path / "health").iterdir():
        left.unlink()
    (tmp_path / "health").rmdir()
    file.beat()
    assert not (tmp_path / "health").exists()
