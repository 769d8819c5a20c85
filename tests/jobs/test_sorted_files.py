"""Rows in sorted files: found whatever the merges, and what is listed is all that counts."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detection.errors import CheckpointIncomplete
from jobs import sorted_files
from jobs.known_labels import KNOWN, newest_of_each
from jobs.runtime.storage import DurableFolder
from jobs.sorted_files import SortedFiles


def rows(transactions: list[int], known: int) -> np.ndarray:
    out = np.zeros(len(set(transactions)), KNOWN)
    out["transaction"], out["known"], out["block"] = sorted(set(transactions)), known, known
    return out


@given(pieces=st.lists(st.lists(st.integers(0, 30), min_size=1, max_size=12), max_size=12))
def test_the_newest_row_of_each_key_is_found(pieces: list[list[int]], tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = DurableFolder.on_disk(tmp_path_factory.mktemp("files"))
    kept = SortedFiles(folder, "known", KNOWN, newest_of_each)
    expected: dict[int, int] = {}
    for number, piece in enumerate(pieces):
        kept.add(rows(piece, number % 64), number)
        kept.delete_others()
        expected |= dict.fromkeys(piece, number % 64)
        again = SortedFiles(folder, "known", KNOWN, newest_of_each, kept.listed)
        found, there = again.find(np.arange(32, dtype=np.uint64))
        assert dict(zip(np.flatnonzero(there).tolist(), found["known"][there].tolist(), strict=True)) == expected
    assert {key for piece in kept.pieces() for key in piece["transaction"].tolist()} == expected.keys()


def test_files_stay_few_and_what_is_old_or_too_much_is_dropped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sorted_files, "MOST_MERGED", 64)
    kept = SortedFiles(DurableFolder.on_disk(tmp_path), "known", KNOWN, newest_of_each)
    for number in range(60):
        kept.add(rows([8 * number + k for k in range(8)], number), number)
        kept.delete_others()
    assert len(kept) == 480
    assert len(list(tmp_path.iterdir())) == len(kept.listed) <= 8 + 6
    assert kept.drop_before(20, 10_000) == 0
    assert 8 * 40 <= len(kept) <= 8 * 48
    assert kept.drop_before(20, 200) > 0
    assert len(kept) <= 200
    kept.delete_others()
    assert len(list(tmp_path.iterdir())) == len(kept.listed)


def test_what_an_interrupted_micro_batch_left_does_not_count(tmp_path: Path) -> None:
    folder = DurableFolder.on_disk(tmp_path)
    kept = SortedFiles(folder, "known", KNOWN, newest_of_each)
    kept.add(rows([1], 1), 1)
    listed = list(kept.listed)
    kept.add(rows([2], 2), 2)
    again = SortedFiles(folder, "known", KNOWN, newest_of_each, listed)
    assert again.find(np.array([1, 2], np.uint64))[1].tolist() == [True, False]
    again.add(rows([3], 2), 2)
    again.delete_others()
    assert again.find(np.array([1, 2, 3], np.uint64))[1].tolist() == [True, False, True]


@pytest.mark.parametrize("content", [None, b"", b"x", b"longer"])
def test_a_file_that_is_lost_or_has_another_length_is_named_whatever_is_asked_of_it(
    tmp_path: Path, content: bytes | None
) -> None:
    folder = DurableFolder.on_disk(tmp_path)
    kept = SortedFiles(folder, "known", KNOWN, newest_of_each)
    kept.add(rows([1, 2], 1), 1)
    file = tmp_path / kept.listed[0].name
    whole = file.read_bytes()
    file.unlink() if content is None else file.write_bytes(whole + content if content == b"longer" else content)
    for asked in (
        lambda files: files.find(np.array([1], np.uint64)),
        lambda files: list(files.pieces()),
        lambda files: files.add(rows([3], 2), 2),
    ):
        again = SortedFiles(folder, "known", KNOWN, newest_of_each, kept.listed)
        with pytest.raises(CheckpointIncomplete, match=f"file profiles-state/{file.name} is (lost|damaged)"):
            asked(again)
