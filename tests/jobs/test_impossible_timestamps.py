"""How a micro-batch is cut so that Spark can read it: pure, from the places and Kafka timestamps of its records."""

import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.impossible_timestamps import MOST_MS, Place, way_round
from jobs.runtime.storage import DurableFolder
from jobs.source import topic_offsets
from jobs.source.topic_offsets import ByTopic, QueryCheckpoint
from tests.integration.test_topic_made_again import Killed, die_before

BAD = MOST_MS + 1


def records(log: dict[str, list[bool]], start: ByTopic, end: ByTopic) -> Iterator[Place]:
    for partition, bad in log.items():
        for offset in range(start["t"][partition], end["t"][partition]):
            yield Place("t", int(partition), offset, -BAD if bad[offset] else MOST_MS)


@given(
    log=st.dictionaries(st.sampled_from("0123"), st.lists(st.booleans(), max_size=12), min_size=1),
    most=st.integers(1, 12),
)
def test_every_record_is_read_once_or_passed_once_and_none_that_spark_cannot_hold_is_read(
    log: dict[str, list[bool]], most: int
) -> None:
    at: ByTopic = {"t": dict.fromkeys(log, 0)}
    read: list[tuple[int, int]] = []
    passed: list[tuple[int, int]] = []
    for _ in range(100):
        end = {"t": {partition: min(len(log[partition]), place + most) for partition, place in at["t"].items()}}
        while any(abs(record.kafka_time) > MOST_MS for record in records(log, at, end)):  # Spark fails
            way = way_round(at, end, records(log, at, end))
            assert (way.start, way.end) != (at, end)
            passed += [(place.partition, place.offset) for place in way.passed]
            at, end = way.start, way.end
        read += [(record.partition, record.offset) for record in records(log, at, end)]
        at = end
    wanted = [(int(p), offset, bad) for p, marks in log.items() for offset, bad in enumerate(marks)]
    assert sorted(read) == sorted((p, offset) for p, offset, bad in wanted if not bad)
    assert sorted(passed) == sorted((p, offset) for p, offset, bad in wanted if bad)


def test_a_partition_that_was_added_is_passed_from_its_beginning() -> None:
    way = way_round({"t": {"0": 3}}, {"t": {"0": 3, "1": 2}}, iter([Place("t", 1, 0, BAD), Place("t", 1, 1, 0)]))
    assert way.start == {"t": {"0": 3, "1": 1}}
    assert way.end == {"t": {"0": 3, "1": 2}}


@pytest.mark.parametrize("first", [True, False], ids=["the first micro-batch", "a later one"])
def test_killed_at_any_step_of_planning_again_the_next_start_finds_a_whole_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: bool
) -> None:
    monkeypatch.setattr(topic_offsets, "DurableFolder", lambda spark, uri: DurableFolder.on_disk(Path(uri)))
    start, end = {"t": {"0": 4}}, {"t": {"0": 8}}
    planned = 0 if first else 1
    names = {"sources/0/0": {"t": {"0": 3}}, "offsets/0": {"t": {"0": 3 if planned else 9}}}
    names |= {"offsets/1": {"t": {"0": 9}}} if planned else {}

    def checkpoint(folder: Path) -> QueryCheckpoint:
        for name, found in names.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text("v1\n{}\n" + json.dumps(found))
        (folder / "commits").mkdir()
        if planned:
            (folder / "commits" / "0").write_text("v1\n{}")
        return QueryCheckpoint(None, str(folder))  # type: ignore[arg-type]

    for step in range(20):
        killed, finished = checkpoint(tmp_path / str(step)), False
        with monkeypatch.context() as patched:
            die_before(patched, step)
            with suppress(Killed):
                killed.plan_again(planned, start, end)
                finished = True
        killed.restore()
        assert not list((tmp_path / str(step) / "begin-again").iterdir())
        if finished:
            assert killed.of(planned) == (start, end)
            break
        if killed.uncommitted() is not None:  # else Spark plans it anew
            assert killed.of(planned)[0] in (start, {"t": {"0": 3}})
            assert killed.of(planned)[1] in (end, {"t": {"0": 9}})
        else:
            assert killed._folder.read("offsets/0" if planned else "sources/0/0") is not None
    assert step > 3
