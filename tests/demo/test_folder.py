"""The demo's folder belongs to it alone, and keeps what serves again."""

from pathlib import Path

import msgspec
import pytest

from demo.errors import DemoError
from demo.folder import Folder, Origin

ORIGIN = Origin.of(seed=7, customers=1_000, days=14)


def prepared(path: Path) -> Folder:
    """A folder as a run leaves it."""
    folder = Folder(path)
    with folder.held():
        assert not folder.begin(ORIGIN)
        for kept in (folder.history, folder.state, folder.registry):
            kept.mkdir(exist_ok=True)
            (kept / "file").touch()
        folder.prepared(ORIGIN)
        for fresh in (folder.checkpoint, path / "kafka"):
            fresh.mkdir()
        (folder.logs / "detect.log").touch()
    return folder


def test_history_and_model_are_kept_and_all_else_is_fresh(tmp_path: Path) -> None:
    folder = prepared(tmp_path)
    with folder.held():
        assert folder.begin(ORIGIN)
    assert (folder.history / "file").exists()
    assert (folder.registry / "file").exists()
    assert not folder.checkpoint.exists()
    assert not (tmp_path / "kafka").exists()
    assert list(folder.logs.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"{", b'{"live_start":"\xff"}'])
def test_where_the_note_of_what_was_made_is_damaged_all_is_made_again(tmp_path: Path, content: bytes) -> None:
    folder = prepared(tmp_path)
    folder._origin.write_bytes(content)
    with folder.held():
        assert not folder.begin(ORIGIN)
    assert not folder.history.exists()


def test_another_seed_starts_anew(tmp_path: Path) -> None:
    folder = prepared(tmp_path)
    with folder.held():
        assert not folder.begin(msgspec.structs.replace(ORIGIN, seed=8))
    assert not folder.history.exists()
    assert list(folder.registry.iterdir()) == []


@pytest.mark.parametrize("source", ["ml/features/folding.py", "generator/scenarios/bust_out.py", "requirements.lock"])
def test_what_other_code_made_is_another_origin(source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("demo.folder.ROOT", tmp_path)
    (tmp_path / source).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / source).write_text("before")
    before = Origin.of(seed=7, customers=1_000, days=14)
    assert Origin.of(seed=7, customers=1_000, days=14) == before
    (tmp_path / source).write_text("after")
    assert Origin.of(seed=7, customers=1_000, days=14) != before


def test_what_was_not_completed_is_not_kept(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    with folder.held():
        folder.begin(ORIGIN)
        folder.history.mkdir()
        assert not folder.begin(ORIGIN)
    assert not folder.history.exists()


def test_a_folder_with_others_files_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    with pytest.raises(DemoError, match="has other files"), Folder(tmp_path).held():
        pass
    assert (tmp_path / "logs").is_dir()


def test_two_demos_in_one_folder_are_refused(tmp_path: Path) -> None:
    with Folder(tmp_path).held(), pytest.raises(DemoError, match="Another demo runs in"), Folder(tmp_path).held():
        pass


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(DemoError, match="--data has to be a folder"), Folder(file).held():
        pass
