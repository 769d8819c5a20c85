"""The reference follows the ledger's micro-batches, each by partition and offset, and nothing else."""

from pathlib import Path

import msgspec
import numpy as np
import pytest

from detection.message_parsing import parse
from tests.torture.outputs import LIMITS, a_log, a_model, reference_of
from torture import reference
from torture.batches import Entry, LedgerWatch, Range, assigned, entries_in, ranges_in, restored, versions_of
from torture.reference import Log, expected
from torture.topics import Spool


def test_each_kind_of_dead_letter_has_its_reason() -> None:
    found = reference_of(a_log(), a_model())
    reasons = sorted(reason or "" for reason in found.reasons.values())
    beginnings = (
        "event_time 2036-",
        "the message has 3,",
        "the value is not JSON",
        "the value is null",
        "transaction_id",
    )
    assert all(reason.startswith(begin) for reason, begin in zip(reasons, beginnings, strict=True)), reasons
    assert "is a duplicate of" in reasons[-1]
    assert int(found.key_mismatch.sum()) == 1


def test_the_order_of_the_rows_and_the_size_of_the_pieces_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    log, judge = a_log(), a_model()
    whole = reference_of(log, judge)
    mixed = np.random.default_rng(4).permutation(len(log.offset))
    columns = (column[mixed] for column in log[:3])
    shuffled = Log(*columns, [log.keys[k] for k in mixed], [log.values[k] for k in mixed])
    monkeypatch.setattr(reference, "PIECE", 37)
    other = reference_of(shuffled, judge)
    for name in ("position", "features", "anomaly_score", "late", "dead", "fields", "kafka_time"):
        assert getattr(whole, name).tobytes() == getattr(other, name).tobytes(), name


def test_the_micro_batches_decide_the_order_of_a_customer_on_two_partitions() -> None:
    one = msgspec.json.decode(a_log().values[0] or b"")
    values = [msgspec.json.encode(one | {"transaction_id": f"T{k}", "amount": 10.0 + k}) for k in range(4)]
    place = np.array([[0, 1], [0, 2], [1, 1], [1, 2]], np.int64)
    log = Log(place[:, 0], place[:, 1], np.full(4, 1_772_900_000_000), [b""] * 4, values)
    judge = a_model()

    def counts(micro_batches: list[int]) -> list[float]:
        versions = np.ones(4, np.int64)
        found = expected(log, np.array(micro_batches), versions, {1: judge}, LIMITS)
        assert 2 <= int(found.order_undefined.sum()) <= 3  # all but what came before the second partition
        return found.features[:, reference.FEATURES.index("count_24h")].tolist()

    assert counts([0, 0, 0, 0]) == [0, 1, 2, 3]
    assert counts([1, 1, 0, 0]) == [2, 3, 0, 1]
    assert counts([0, 1, 0, 1]) == [0, 2, 1, 3]


def test_a_message_that_trips_the_reference_itself_costs_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    log, judge = a_log(), a_model()
    poison = log.values[33]

    def trips(value: bytes | None):  # type: ignore[no-untyped-def]
        if value == poison:
            raise RecursionError
        return parse(value)

    monkeypatch.setattr(reference.message_parsing, "parse", trips)
    found = reference_of(log, judge)
    assert [reason for reason in found.reasons.values() if reason is None] == [None]


def test_entries_that_the_ledger_has_merged_are_restored_from_the_scores() -> None:
    entries = [
        Entry(0, 1, {"0": 0}, {"0": 5}),
        Entry(1, 1, {"0": 5}, {"0": 9, "1": 3}),
        Entry(2, 2, {}, {"0": 9, "1": 4}),
    ]
    places = np.array([[0, 1], [0, 4], [0, 5], [0, 8], [1, 2]], np.int64)
    partition, offset = places.T
    numbers = assigned(partition, offset, entries)
    merged = Range(0, 1, 1, entries[0].start, entries[1].end)
    again = restored([merged], partition, offset, numbers)
    assert assigned(partition, offset, again).tolist() == numbers.tolist() == [0, 0, 1, 1, 1]
    assert versions_of(np.array([2, 0, -1]), entries).tolist() == [2, 1, -1]


def test_the_watch_keeps_entries_that_go_away_and_notices_one_that_changes(tmp_path: Path) -> None:
    def write(entry: Entry) -> None:
        (tmp_path / f"{entry.micro_batch}.json").write_bytes(msgspec.json.encode(entry))

    watch = LedgerWatch(tmp_path)
    write(Entry(0, 1, {"0": 0}, {"0": 5}))
    write(Entry(1, 1, {"0": 5}, {"0": 7}))
    watch.look()
    (tmp_path / "0.json").unlink()
    write(Entry(1, 2, {"0": 5}, {"0": 7}))
    for name, end in (("ranges-0.2", 1), ("ranges-0.10", 5), ("ranges-1.0", 7)):
        (tmp_path / name).write_bytes(msgspec.json.encode([Range(0, 0, 1, {"0": 0}, {"0": end})]))
    watch.look()
    assert [entry.micro_batch for entry in watch.entries] == [0, 1]
    assert watch.changed == {1}
    assert [entry.micro_batch for entry in entries_in(tmp_path)] == [1]
    assert [merged.end["0"] for merged in ranges_in(tmp_path)] == [5, 7]


def test_a_spool_gives_back_what_it_was_given(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    given = [b"one", None, b"", b"x" * 100_000, b"last"]
    for content in given[:3]:
        spool.append(content)
    assert spool[0] == b"one"
    for content in given[3:]:
        spool.append(content)
    assert list(spool) == spool[0:5] == given
    spool.close()
