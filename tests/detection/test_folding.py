"""A message that a step of ours fails for costs itself: its neighbours come out as if it had never been sent."""

import json
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detection import folding, intake, state_log
from detection.decision import BASIS, NOT_JUDGED
from detection.folding import Messages, begin
from detection.state_log import LocalCopy, StateLog
from ml.features import CUSTOMER, FEATURES, NO_POSITION
from ml.features.customers import identify
from ml.features.events import hash_id
from tests.detection.test_state_log import Dict
from tests.integration.traffic import traffic

NOW = 1_790_000_000_000
GOOD = [msgspec.json.encode(t) for t in traffic(1_200, customers=700, seed=3)]
KEPT = 15
"""How many of the messages are left out where a step fails for some."""


class Outcome(NamedTuple):
    """What came of messages: rows by message number, errors by message number, the states as one sorted array's bytes."""

    rows: dict[int, tuple[Any, ...]]
    errors: dict[int, str]
    states: bytes


def outcome(numbers: Sequence[int], values: Sequence[bytes] = GOOD, pieces: int = 1) -> Outcome:
    """Work the messages of these numbers, in some pieces, from an empty state on. A message's number is its offset."""
    store = Dict()
    rows: dict[int, tuple[Any, ...]] = {}
    errors: dict[int, str] = {}
    with tempfile.TemporaryDirectory() as folder, StateLog(store, LocalCopy(Path(folder))).folding() as fold:
        for part in np.array_split(np.arange(len(numbers)), pieces):
            some = [numbers[k] for k in part.tolist()]
            n = len(some)
            messages = Messages([values[number] for number in some], [b"C"] * n, [NOW] * n, [0] * n, some)
            begun = begin(messages, fold, 24.0)
            heads = dict(zip(begun.rows.tolist(), begun.heads, strict=True))
            basis = dict(zip(begun.rows.tolist(), begun.basis, strict=True))
            problems = begun.refusals.problems(messages.records)
            assert set(heads) | set(problems) == set(range(n))
            for k, number in enumerate(some):
                problem = msgspec.json.encode(problems[k]).decode() if k in problems else None
                judged_by = basis[k].tobytes() if k in basis else NOT_JUDGED
                rows[number] = (b"C", heads.get(k, values[number]), judged_by, problem)
            errors |= {some[row]: begun.refusals.reasons[row] for row in begun.refusals.errors}
    states = np.frombuffer(b"".join(store.content[number] for number in sorted(store.content) if number >= 0), CUSTOMER)
    return Outcome(rows, errors, np.sort(states, order=["id_high", "id_low"]).tobytes())


Break = Callable[[pytest.MonkeyPatch, set[int]], None]


def ids(numbers: set[int]) -> set[str]:
    return {json.loads(GOOD[number])["transaction_id"] for number in numbers}


def broken_parse(patch: pytest.MonkeyPatch, numbers: set[int]) -> None:
    bad, sound = {GOOD[number] for number in numbers}, intake.parse

    def parse(value: bytes | None) -> Any:
        if value in bad:
            raise KeyError("no such thing")
        return sound(value)

    patch.setattr(intake, "parse", parse)


def broken_events(patch: pytest.MonkeyPatch, numbers: set[int]) -> None:
    bad, sound = ids(numbers), intake.events

    def events(transactions: Any, positions: Any, *rates: Any) -> np.ndarray:
        if any(t.transaction_id in bad for t in transactions):
            raise OverflowError("date out of range \ud800")
        return sound(transactions, positions, *rates)

    patch.setattr(intake, "events", events)


def broken_identities(patch: pytest.MonkeyPatch, numbers: set[int]) -> None:
    """For all messages of these messages' customers."""
    bad = {json.loads(GOOD[number])["customer_id"] for number in numbers}

    def identify_some(customers: list[str]) -> np.ndarray:
        if bad.intersection(customers):
            raise UnicodeError
        return identify(customers)

    patch.setattr(folding, "identify", identify_some)


def broken_fold(patch: pytest.MonkeyPatch, numbers: set[int]) -> None:
    """It raises when it has changed the states already, those of customers that are new to it too."""
    bad, sound = [hash_id(name) for name in ids(numbers)], state_log.fold

    def fold(states: np.ndarray, slots: Any, events: np.ndarray) -> Any:
        folded = sound(states, slots, events)
        if np.isin(events["transaction"], np.array(bad, np.uint64)).any():
            raise ZeroDivisionError
        return folded

    patch.setattr(state_log, "fold", fold)


def broken_heads(patch: pytest.MonkeyPatch, numbers: set[int]) -> None:
    bad, sound = ids(numbers), folding.heads

    def heads(transactions: Any, *rest: Any) -> list[bytes]:
        if any(t.transaction_id in bad for t in transactions):
            raise AssertionError
        return sound(transactions, *rest)

    patch.setattr(folding, "heads", heads)


def broken_features(patch: pytest.MonkeyPatch, numbers: set[int]) -> None:
    """The fold gives these messages a feature that is no number."""
    bad, sound = [hash_id(name) for name in ids(numbers)], state_log.fold

    def fold(states: np.ndarray, slots: Any, events: np.ndarray) -> Any:
        folded = sound(states, slots, events)
        folded.features[np.isin(events["transaction"], np.array(bad, np.uint64)), 3] = np.inf
        return folded

    patch.setattr(state_log, "fold", fold)


BEFORE_THE_FOLD: dict[str, Break] = {"parse": broken_parse, "event": broken_events, "fold": broken_fold}
AFTER_THE_FOLD: dict[str, Break] = {"score head": broken_heads, "features": broken_features}
culprits = st.sets(st.integers(0, len(GOOD) - 1), min_size=1, max_size=KEPT)


@settings(deadline=None, max_examples=12)
@given(culprits, st.integers(1, 4))
@pytest.mark.parametrize("step", BEFORE_THE_FOLD)
def test_a_failure_up_to_the_fold_costs_the_message_alone_and_leaves_no_trace(
    step: str, numbers: set[int], pieces: int
) -> None:
    others = [number for number in range(len(GOOD)) if number not in numbers]
    expected = outcome(others)
    with pytest.MonkeyPatch.context() as patch:
        BEFORE_THE_FOLD[step](patch, numbers)
        found = outcome(range(len(GOOD)), pieces=pieces)
    assert {number: found.rows[number] for number in others} == expected.rows
    assert found.states == expected.states
    assert set(found.errors) == numbers
    for number in numbers:
        _, value, judged_by, problem = found.rows[number]
        told = json.loads(problem)
        assert (value, judged_by) == (GOOD[number], NOT_JUDGED)
        assert told.pop("reason") == found.errors[number]
        assert f"in its step {step}: " in found.errors[number]
        assert told == {"partition": 0, "offset": number, "kafka_time": NOW}


@settings(deadline=None, max_examples=12)
@given(culprits, st.integers(1, 4))
@pytest.mark.parametrize("step", AFTER_THE_FOLD)
def test_a_failure_after_the_fold_costs_the_message_alone_and_its_dead_letter_says_that_it_is_folded(
    step: str, numbers: set[int], pieces: int
) -> None:
    expected = outcome(range(len(GOOD)))
    with pytest.MonkeyPatch.context() as patch:
        AFTER_THE_FOLD[step](patch, numbers)
        found = outcome(range(len(GOOD)), pieces=pieces)
    for number in range(len(GOOD)):
        if number not in numbers:
            assert found.rows[number] == expected.rows[number]
    assert found.states == expected.states
    assert set(found.errors) == numbers
    for number in numbers:
        _, value, judged_by, problem = found.rows[number]
        assert (value, judged_by) == (GOOD[number], NOT_JUDGED)
        assert json.loads(problem)["folded"] is True


def test_a_customer_whose_messages_all_fail_leaves_the_others_as_they_are() -> None:
    bad = {
        number
        for number in range(len(GOOD))
        if json.loads(GOOD[number])["customer_id"] == json.loads(GOOD[7])["customer_id"]
    }
    expected = outcome([number for number in range(len(GOOD)) if number not in bad])
    with pytest.MonkeyPatch.context() as patch:
        broken_identities(patch, {min(bad)})
        found = outcome(range(len(GOOD)))
    assert set(found.errors) == bad
    assert {number: row for number, row in found.rows.items() if number not in bad} == expected.rows
    assert found.states == expected.states


@pytest.mark.parametrize("step", BEFORE_THE_FOLD | AFTER_THE_FOLD)
@pytest.mark.parametrize("error", [MemoryError, OSError])
def test_what_is_no_messages_fault_fails_them_all(
    step: str, error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise error

    owner = {"parse": intake, "event": intake, "fold": state_log, "score head": folding, "features": folding}[step]
    name = {"parse": "parse", "event": "events", "fold": "fold", "score head": "heads", "features": "_basis"}
    monkeypatch.setattr(owner, name[step], fail)
    with pytest.raises(error):
        outcome(range(50))


@pytest.mark.parametrize(
    ("owner", "name"),
    [(intake, "parse"), (intake, "events"), (folding, "identify"), (folding, "heads"), (folding, "segment_ids_of")],
)
def test_a_step_that_fails_for_every_message_is_broken_itself_and_fails_them_all(
    owner: Any, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise AttributeError("the library has changed")

    monkeypatch.setattr(owner, name, fail)
    with pytest.raises(AttributeError, match="the library has changed"):
        outcome(range(50))


def test_a_piece_of_nothing_but_dead_letters_changes_nothing() -> None:
    found = outcome([0, 1], values=[b"{}", b"[]"])
    assert [json.loads(row[3])["offset"] for row in found.rows.values()] == [0, 1]
    assert (found.errors, found.states) == ({}, b"")


def test_a_duplicate_is_no_error_and_is_not_judged() -> None:
    found = outcome([0, 1, 2], values=[GOOD[0], GOOD[1], GOOD[0]])
    assert "is a duplicate of 0/0" in json.loads(found.rows[2][3])["reason"]
    assert found.rows[2][1:3] == (GOOD[0], NOT_JUDGED)
    assert not found.errors
    assert np.frombuffer(NOT_JUDGED, BASIS)["position"] == NO_POSITION
    assert np.frombuffer(found.rows[1][2], BASIS)["features"].shape == (1, len(FEATURES))
