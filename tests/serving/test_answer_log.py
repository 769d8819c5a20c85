"""Answers on disk: those of the last ten minutes are known after a restart, whatever a kill left behind."""

from pathlib import Path

import pytest

from serving import answer_log
from serving.answer_log import AnswerLog
from serving.answers import Answer

NOW = 1_800_000_000.0


def answer(number: int) -> Answer:
    return Answer(f"t-{number}", "approve", "model", 0, number, 0.5, 0.6, False, [], "scoreline", 1, 0, 0, 3.0)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [NOW]
    monkeypatch.setattr(answer_log.time, "time", lambda: now[0])
    return now


def known(folder: Path) -> list[tuple[float, str]]:
    return [(age, each.transaction_id) for age, each in AnswerLog(folder).read()]


def test_after_a_restart_the_answers_of_the_last_ten_minutes_are_known_with_their_age(
    tmp_path: Path, clock: list[float]
) -> None:
    log = AnswerLog(tmp_path)
    for number in range(15):
        clock[0] = NOW + 60 * number
        log.add(answer(number))
    assert known(tmp_path) == [(60.0 * (14 - number), f"t-{number}") for number in range(5, 15)]
    assert next(each for _, each in AnswerLog(tmp_path).read()) == answer(5)


def test_files_that_are_too_old_are_deleted(tmp_path: Path, clock: list[float]) -> None:
    log = AnswerLog(tmp_path)
    for number in range(200):
        clock[0] = NOW + 60 * number
        log.add(answer(number))
    assert len(list(tmp_path.iterdir())) <= 13


@pytest.mark.usefixtures("clock")
def test_an_answer_that_a_kill_cut_off_costs_no_other(tmp_path: Path) -> None:
    AnswerLog(tmp_path).add(answer(1))
    (file,) = tmp_path.iterdir()
    file.write_bytes(file.read_bytes() + b'[1800000000.0,{"transaction_id":"t-2","dec')
    AnswerLog(tmp_path).add(answer(3))
    assert [name for _, name in known(tmp_path)] == ["t-1", "t-3"]


@pytest.mark.usefixtures("clock")
def test_what_stands_in_the_folder_by_chance_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_bytes(b"\xff\n[]\n{}\n\n" + b"[" * 100_000)
    AnswerLog(tmp_path).add(answer(1))
    assert [name for _, name in known(tmp_path)] == ["t-1"]
    AnswerLog(tmp_path).clear()
    assert known(tmp_path) == []


def test_a_disk_that_takes_nothing_is_reported_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    log = AnswerLog(tmp_path)
    monkeypatch.setattr(answer_log.os, "write", full)
    for number in range(5):
        log.add(answer(number))
    assert caplog.text.count("answers can't be written") == 1
