"""Answers on disk: those of the last ten minutes are known after a restart, whatever a kill left behind."""

from pathlib import Path

import pytest

from serving import answer_log
from serving.answer_log import AnswerLog, Given
from serving.answers import Answer

NOW = 1_800_000_000.0


def answer(number: int) -> Answer:
    return Answer(f"t-{number}", "approve", "model", 0, number, 0.5, 0.6, False, [], "scoreline", 1, 0, 0, 3.0)


def given(number: int, at: float = NOW) -> Given:
    return Given(at, "ann", number, answer(number))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [NOW]
    monkeypatch.setattr(answer_log.time, "time", lambda: now[0])
    return now


def add(log: AnswerLog, one: Given) -> None:
    log.add(one)
    log.write()


def known(folder: Path) -> list[tuple[float, str]]:
    return [(age, each.answer.transaction_id) for age, each in AnswerLog(folder).read()]


def test_after_a_restart_the_answers_of_the_last_ten_minutes_are_known_with_their_age(
    tmp_path: Path, clock: list[float]
) -> None:
    log = AnswerLog(tmp_path)
    for number in range(15):
        clock[0] = NOW + 60 * number
        add(log, given(number, clock[0]))
    assert known(tmp_path) == [(60.0 * (14 - number), f"t-{number}") for number in range(5, 15)]
    assert next(each for _, each in AnswerLog(tmp_path).read()) == given(5, NOW + 300)


def test_files_that_are_too_old_are_deleted(tmp_path: Path, clock: list[float]) -> None:
    log = AnswerLog(tmp_path)
    for number in range(200):
        clock[0] = NOW + 60 * number
        add(log, given(number, clock[0]))
    assert len(list(tmp_path.iterdir())) <= 13


@pytest.mark.usefixtures("clock")
def test_an_answer_that_a_kill_cut_off_costs_no_other(tmp_path: Path) -> None:
    add(AnswerLog(tmp_path), given(1))
    (file,) = tmp_path.iterdir()
    file.write_bytes(file.read_bytes() + b'[1800000000.0,{"transaction_id":"t-2","dec')
    add(AnswerLog(tmp_path), given(3))
    assert [name for _, name in known(tmp_path)] == ["t-1", "t-3"]


@pytest.mark.usefixtures("clock")
def test_what_stands_in_the_folder_by_chance_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_bytes(b"\xff\n[]\n{}\n\n" + b"[" * 100_000)
    add(AnswerLog(tmp_path), given(1))
    assert [name for _, name in known(tmp_path)] == ["t-1"]
    AnswerLog(tmp_path).clear()
    assert known(tmp_path) == []


def test_what_a_full_disk_did_not_take_is_held_reported_once_and_written_when_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, clock: list[float]
) -> None:
    log = AnswerLog(tmp_path)
    add(log, given(0))
    write = answer_log.os.write
    with monkeypatch.context() as full:
        full.setattr(answer_log.os, "write", lambda file, content: write(file, content[:10]))  # as a full disk may
        for number in range(1, 5):
            add(log, given(number))
        assert log.is_behind
    assert caplog.text.count("answers can't be written") == 1
    clock[0] += 1
    assert log.write()
    assert not log.is_behind
    assert [name for _, name in known(tmp_path)] == [f"t-{number}" for number in range(5)]


def test_a_line_that_is_not_what_was_written_is_left_out_and_reported(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, clock: list[float]
) -> None:
    log = AnswerLog(tmp_path)
    for number in range(3):
        add(log, given(number, clock[0]))
    (file,) = tmp_path.iterdir()
    file.write_bytes(file.read_bytes().replace(b"t-1", b"t-9"))
    assert [name for _, name in known(tmp_path)] == ["t-0", "t-2"]
    assert "1 lines of the answers" in caplog.text


def test_answers_from_before_the_clock_went_back_count_still(tmp_path: Path, clock: list[float]) -> None:
    add(AnswerLog(tmp_path), given(1, clock[0]))
    clock[0] -= 30
    assert known(tmp_path) == [(0.0, "t-1")]
