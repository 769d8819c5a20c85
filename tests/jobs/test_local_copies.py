"""Copies of the state of runs that are over are deleted."""

from pathlib import Path

from detection.state_log import LocalCopy
from jobs.runtime.local_copies import drop_other_runs


def test_however_often_a_query_is_started_again_one_run_has_copies(tmp_path: Path) -> None:
    for number in range(50):
        run = tmp_path / f"run{number}"
        drop_other_runs(run)
        copy = LocalCopy(run / "0")
        with copy.open(b"v") as (customers, _):
            copy.close(b"v", customers)
        assert [folder.name for folder in tmp_path.iterdir()] == [run.name]


def test_a_worker_of_the_same_run_deletes_nothing_of_it(tmp_path: Path) -> None:
    run = tmp_path / "run"
    drop_other_runs(run)
    (run / "0").mkdir()
    drop_other_runs(tmp_path / "other")
    drop_other_runs(run)
    drop_other_runs(run)
    assert run.is_dir()
