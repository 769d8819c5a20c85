"""A log that others append to stays small."""

from pathlib import Path

from jobs.runtime.logs import keep_small


def test_a_file_that_grows_for_long_takes_a_bounded_space_and_keeps_its_end(tmp_path: Path) -> None:
    path = tmp_path / "workers.log"
    with path.open("ab", buffering=0) as appended:
        for number in range(2_000):
            appended.write(b"%06d " % number * 100)
            keep_small(path, largest=10_000, backups=3)
            assert sum(file.stat().st_size for file in tmp_path.iterdir()) <= 4 * 10_700
    assert {file.name for file in tmp_path.iterdir()} == {"workers.log", *(f"workers.log.{k}" for k in (1, 2, 3))}
    whole = (
        b"".join(file.read_bytes() for file in sorted(tmp_path.glob("workers.log.*"), reverse=True)) + path.read_bytes()
    )
    numbers = [int(word) for word in whole.split()]
    assert numbers == sorted(numbers)
    assert numbers[-1] == 1_999


def test_of_a_file_that_grew_very_fast_the_end_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "workers.log"
    path.write_bytes(b"a" * 50_000 + b"z" * 20_000)
    keep_small(path, largest=10_000)
    assert path.stat().st_size == 0
    assert (tmp_path / "workers.log.1").read_bytes() == b"z" * 20_000


def test_a_small_file_and_none_at_all_are_left_alone(tmp_path: Path) -> None:
    keep_small(tmp_path / "none")
    (tmp_path / "small").write_text("x")
    keep_small(tmp_path / "small")
    assert [file.name for file in tmp_path.iterdir()] == ["small"]
