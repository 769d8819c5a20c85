"""A result is right only where everything is, and its line begins with what people ask for first."""

from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from bench.result import Machine
from torture.application import Ended
from torture.caller import Called
from torture.early import EarlyFigures
from torture.feed import Status
from torture.figures import Figures
from torture.result import Result, save

NOTHING_WRONG = Figures(**dict.fromkeys(Figures.__struct_fields__[:-1], 0), examples=[])


def a_result() -> Result:
    return Result(
        started=datetime(2026, 3, 2, 8, 0, 5, tzinfo=UTC),
        machine=Machine("a CPU", 2, 1, "Linux", 0.1, 0.1, {}, "abc"),
        seed=1,
        minutes=30.0,
        rate=1_000.0,
        feed_seconds=1_450.0,
        seconds={"drain": 12.0},
        kills={"driver": 60, "broker": 40},
        missed_kills=0,
        starts=61,
        promotions=3,
        partitions=9,
        micro_batches=7_000,
        fed=Status(sent=1_450_000, hostile={"poison": 70_000, "tombstone": 2_500}, ended=True),
        drained=True,
        stopped=0,
        left_behind=[],
        ledger_changed=[],
        ended_by_itself=[],
        troubles=[],
        figures=NOTHING_WRONG,
        early=EarlyFigures(alerts=900, answers=20_000),
        called=Called(sent=21_000, judged=20_000),
        service_starts=11,
        service_ended_by_itself=[],
        each_kill=[],
    )


def test_a_result_without_mistakes_is_right_and_its_line_says_the_telling_figures_first() -> None:
    result = a_result()
    assert result.right
    first = ["minutes", "kills", "records", "hostile", "lost", "differing", "points_missing", "alerts_sent_twice"]
    assert list(result.summary())[: len(first)] == first
    assert (result.summary()["kills"], result.summary()["hostile"]) == (100, 72_500)


WRONG = "lost", "differing", "order_undefined_differing", "unknown", "alerts_missing"
WRONG_POINTS = "points_missing", "points_differing", "points_beyond"


@pytest.mark.parametrize("name", WRONG + WRONG_POINTS)
def test_any_mistake_makes_it_wrong(name: str) -> None:
    figures = msgspec.structs.replace(NOTHING_WRONG, **{name: 1})
    assert not msgspec.structs.replace(a_result(), figures=figures).right


@pytest.mark.parametrize("name", ["scores_sent_twice", "alerts_sent_twice", "dead_letters_sent_twice"])
def test_repeats_are_no_mistake(name: str) -> None:
    figures = msgspec.structs.replace(NOTHING_WRONG, **{name: 1})
    assert msgspec.structs.replace(a_result(), figures=figures).right


@pytest.mark.parametrize(
    "changes",
    [
        {"drained": False},
        {"stopped": 1},
        {"stopped": None},
        {"ledger_changed": [4]},
        {"fed": Status(failed=1)},
        {"early": EarlyFigures(alerts_differing=1)},
        {"early": EarlyFigures(answers_differing=1)},
        {"early": EarlyFigures(unknown=1)},
        {"called": Called(failed=1)},
        {"called": Called(contradicted=1)},
        {"service_ended_by_itself": [Ended(1, 3.0, "a bug")]},
    ],
    ids=str,
)
def test_a_run_that_went_wrong_is_not_right(changes: dict[str, object]) -> None:
    assert not msgspec.structs.replace(a_result(), **changes).right


def test_a_result_is_one_json_file_named_by_its_time(tmp_path: Path) -> None:
    path = save(a_result(), tmp_path / "results")
    assert path.name == "2026-03-02-080005-torture.json"
    assert msgspec.json.decode(path.read_bytes(), type=Result) == a_result()
