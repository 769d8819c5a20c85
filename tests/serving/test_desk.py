"""What waits for which record: deadlines, outages, and records that fail."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest

from detection.engine import Scored
from detection.refusals import Problem
from ml.schema import Transaction
from serving import answer_log, answers
from serving.answer_log import AnswerLog
from serving.answers import Decided, NotJudged
from serving.desk import Busy, Desk, Judged
from serving.intake import Intake
from serving.tail import Read
from tests.serving.test_policy import NOW, score


class Sent:
    """In the place of the intake: names requests, and sends nothing."""

    def __init__(self) -> None:
        self.count = 0

    def send(self, *_: Any) -> bytes:
        self.count += 1
        return self.count.to_bytes(16, "big")


def payment(number: int) -> Transaction:
    return Transaction(f"t{number}", NOW, "ann", 100.0)


def read(number: int, value: bytes | None = None) -> Read:
    plain = value or msgspec.json.encode(score(transaction_id=f"t{number}", offset=number))
    return Read(number.to_bytes(16, "big"), 0, number, Scored(plain, False))


def with_desk(folder: Path, most: int, do: Callable[[Desk], Awaitable[None]]) -> None:
    async def run() -> None:
        loop = asyncio.get_running_loop()
        await do(Desk(cast(Intake, Sent()), loop, AnswerLog(folder), most))

    asyncio.run(run())


def test_who_waits_no_more_makes_room_and_the_record_is_told_all_the_same(tmp_path: Path) -> None:
    async def do(desk: Desk) -> None:
        told: list[Judged] = []
        desk.unasked = told.append
        futures = [desk.enter(payment(number), b"", None) for number in (1, 2)]
        with pytest.raises(Busy, match="2 requests wait already"):
            desk.enter(payment(3), b"", None)
        desk.leave(payment(1))
        assert desk.waiting == 1
        third = desk.enter(payment(3), b"", None)
        assert desk.enter(payment(1), b"", None) is futures[0]  # it is under way still, and is not sent again
        desk._deliver([read(number) for number in (1, 2, 3)])
        assert [(await each).score.transaction_id for each in (*futures, third)] == ["t1", "t2", "t3"]
        assert (desk.waiting, told) == (0, [])

    with_desk(tmp_path, 2, do)


def test_a_record_that_fails_fails_alone(tmp_path: Path) -> None:
    async def do(desk: Desk) -> None:
        def broken(_: Judged) -> None:
            raise ZeroDivisionError

        desk.unasked = broken
        futures = [desk.enter(payment(number), b"", None) for number in (1, 2, 3)]
        refused = Read(named(2), 0, 2, Problem("it is a duplicate of 0/1", 0, 2, 0))
        desk._deliver([read(1, b"{"), read(9), refused, read(3)])
        with pytest.raises(NotJudged, match="an error of ours"):
            await futures[0]
        with pytest.raises(NotJudged, match="duplicate"):
            await futures[1]
        assert (await futures[2]).score.offset == 3

    with_desk(tmp_path, 10, do)


def named(number: int) -> bytes:
    return number.to_bytes(16, "big")


def test_answers_of_a_moment_are_on_disk_before_they_are_given_by_one_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, writes = answer_log.os.write, list[int]()

    def counted(file: int, content: bytes) -> int:
        writes.append(content.count(b"\n"))
        return write(file, content)

    monkeypatch.setattr(answer_log.os, "write", counted)

    async def do(desk: Desk) -> None:
        known: list[int] = []

        def give() -> None:
            known.append(len(list(AnswerLog(tmp_path).read())))

        def fail() -> None:
            raise ValueError("a reply failed")

        for number in range(3):
            one = score(transaction_id=f"t{number}", offset=number)
            desk.keep(one, answers.answer(one, Decided("approve", "model"), 1.0))
            desk.after_write(fail if number == 1 else give)
        assert known == []
        await asyncio.sleep(0.01)
        assert known == [3, 3]

    with_desk(tmp_path, 10, do)
    assert writes == [3]
