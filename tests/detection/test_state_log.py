"""The state log against states that are simply kept: whatever fails, is rolled back or is lost in between."""

import tempfile
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detection import state_log
from detection.state_log import LocalCopy, StateLog, folded_or_untouched
from ml.features import CUSTOMER, EVENT, fold
from ml.features.customers import Customers, identify

CUSTOMERS = 40


class Dict:
    """A key-value store that can be set back, as Spark sets its state back when a task fails."""

    def __init__(self) -> None:
        self.content: dict[int, bytes] = {}

    def get(self, key: int) -> bytes | None:
        return self.content.get(key)

    def put(self, key: int, value: bytes) -> None:
        self.content[key] = value

    def remove(self, key: int) -> None:
        del self.content[key]


class Broken(Exception):
    """Raised in the middle of a write."""


class BreakingDict(Dict):
    """Fails at its n-th write."""

    def __init__(self, content: dict[int, bytes], writes: int) -> None:
        super().__init__()
        self.content = content
        self._left = writes

    def put(self, key: int, value: bytes) -> None:
        if self._left == 0:
            raise Broken
        self._left -= 1
        super().put(key, value)


batches = st.lists(
    st.tuples(
        st.lists(st.integers(0, CUSTOMERS - 1), max_size=30),
        st.sampled_from(["fine", "fine", "fine", "rolled back", "breaks off", "copy lost", "other machine"]),
        st.integers(0, 3),
    ),
    min_size=1,
    max_size=25,
)


def events_of(batch: list[int], start: int) -> np.ndarray:
    events = np.zeros(len(batch), EVENT)
    events["time"] = 1_790_000_000_000 + 60_000 * np.arange(start, start + len(batch))
    events["amount"] = np.arange(start, start + len(batch)) % 97
    events["transaction"] = np.arange(start, start + len(batch)) + 1
    return events


@settings(deadline=None, max_examples=150)
@given(batches)
def test_states_are_those_of_a_plain_fold_whatever_fails_in_between(plan: list[tuple[list[int], str, int]]) -> None:
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as folder:
        patch.setattr(state_log, "CHUNK_ROWS", 7)
        patch.setattr(state_log, "SPARE_ROWS", 9)
        patch.setattr(state_log, "MOST_CHUNKS", 5)
        copies = [LocalCopy(Path(folder) / name) for name in ("one", "two")]
        store, plain, done = Dict(), Customers(), 0
        for batch, fate, writes in plan:
            identities, events = identify([f"C{c}" for c in batch]), events_of(batch, done)
            if fate == "rolled back":
                attempt = Dict()
                attempt.content = dict(store.content)
                StateLog(attempt, copies[0]).fold(identities, events)
            if fate == "breaks off":
                with suppress(Broken):
                    StateLog(BreakingDict(dict(store.content), writes), copies[0]).fold(identities, events)
            if fate == "copy lost":
                copies[0] = LocalCopy(Path(folder) / f"new-{done}")
            copy = copies[1] if fate == "other machine" else copies[0]
            folded = StateLog(store, copy).fold(identities, events)
            rows = plain.locate(identities)
            expected = fold(plain.states, rows, events)
            assert folded.features.tobytes() == expected.features.tobytes()
            done += len(batch)
        head = StateLog(store, copies[0]).head()
        assert sum(head.rows) <= 3 * plain.count + 9 + 7
        assert len(head.rows) <= 5 + CUSTOMERS // 7 + 5
        assert set(store.content) <= {-1, *range(head.first, head.first + len(head.rows))}


def attempt(content: dict[int, bytes], copy: LocalCopy, batch: list[int], done: int) -> tuple[dict[int, bytes], bytes]:
    """(what the store holds after one attempt at a micro-batch, the features) from what it held before."""
    store = Dict()
    store.content = dict(content)
    folded = StateLog(store, copy).fold(identify([f"C{c}" for c in batch]), events_of(batch, done))
    return store.content, folded.features.tobytes()


def breaks_off(content: dict[int, bytes], copy: LocalCopy, batch: list[int], done: int, writes: int) -> None:
    """An attempt that dies before its write number `writes`, counted from 0, and leaves its copy as it is."""
    with suppress(Broken):
        StateLog(BreakingDict(dict(content), writes), copy).fold(
            identify([f"C{c}" for c in batch]), events_of(batch, done)
        )


@settings(deadline=None, max_examples=60)
@given(
    st.lists(
        st.tuples(
            st.lists(st.integers(0, CUSTOMERS - 1), min_size=1, max_size=30),
            st.lists(st.integers(0, CUSTOMERS - 1), min_size=1, max_size=30),
            st.integers(0, 2),
        ),
        min_size=1,
        max_size=20,
    )
)
def test_attempts_write_the_same_bytes_whatever_their_copies_look_like(
    plan: list[tuple[list[int], list[int], int]],
) -> None:
    """Each micro-batch is tried by a copy that is up to date, by one made from the log, and by one that has seen failures."""
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as folder:
        patch.setattr(state_log, "CHUNK_ROWS", 7)
        patch.setattr(state_log, "SPARE_ROWS", 9)
        patch.setattr(state_log, "MOST_CHUNKS", 5)
        current, restless, content, done = (
            LocalCopy(Path(folder) / "a"),
            LocalCopy(Path(folder) / "b"),
            Dict().content,
            0,
        )
        for number, (batch, other, wins) in enumerate(plan):
            attempt(content, restless, other, done)  # rolled back; its copy has customers that the log never gets
            for writes in range(4):
                breaks_off(content, restless, batch, done, writes)
            attempts = [attempt(content, copy, batch, done) for copy in (current, restless)]
            attempts.append(attempt(content, LocalCopy(Path(folder) / f"new-{number}"), batch, done))
            assert attempts[0] == attempts[1] == attempts[2]
            content = attempts[wins][0]
            done += len(batch)


def test_a_customer_whom_no_write_ever_reached_counts_for_nothing_in_the_log(tmp_path: Path) -> None:
    """A copy can hold customers whose only message was set aside; what is written does not depend on them."""
    content: list[dict[int, bytes]] = []
    for strangers in (0, 30):
        store, copy = Dict(), LocalCopy(tmp_path / str(strangers))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(state_log, "CHUNK_ROWS", 7)
            patch.setattr(state_log, "SPARE_ROWS", 9)
            for step in range(12):
                with copy.open(StateLog(store, copy).head().version) as (customers, _):
                    customers.locate(identify([f"stranger {k}" for k in range(strangers)]))
                    copy.close(StateLog(store, copy).head().version, customers)
                batch = [(step + k) % 10 for k in range(6)]
                StateLog(store, copy).fold(identify([f"C{c}" for c in batch]), events_of(batch, 6 * step))
        content.append(store.content)
    assert content[0] == content[1]


def test_a_seeded_log_goes_on_from_its_seed(tmp_path: Path) -> None:
    identities = identify([f"C{c}" for c in range(10_000)])
    before = Customers()
    first, second = events_of(list(range(10_000)), 0), events_of(list(range(10_000)), 10_000)
    rows = before.locate(identities)
    fold(before.states, rows, first)
    store = Dict()
    log = StateLog(store, LocalCopy(tmp_path))
    log.seed(before.states[:6_000])
    log.seed(before.states[6_000:])
    expected = fold(before.states, rows, second)
    assert log.fold(identities, second).features.tobytes() == expected.features.tobytes()


def test_a_missing_chunk_is_an_error_and_not_a_new_customer(tmp_path: Path) -> None:
    store = Dict()
    StateLog(store, LocalCopy(tmp_path / "one")).fold(identify(["C1"]), events_of([1], 0))
    store.remove(1)
    with pytest.raises(LookupError, match="lacks its chunk 1"):
        StateLog(store, LocalCopy(tmp_path / "two")).fold(identify(["C1"]), events_of([1], 1))


def test_states_of_a_customer_are_as_large_as_the_layout_says(tmp_path: Path) -> None:
    store = Dict()
    StateLog(store, LocalCopy(tmp_path)).fold(identify(["C1", "C2"]), events_of([1, 2], 0))
    assert len(store.content[1]) == 2 * CUSTOMER.itemsize


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(st.lists(st.integers(0, 3_000), max_size=900), st.booleans()), max_size=8))
def test_a_fold_that_fails_leaves_customers_and_states_as_they_were(plan: list[tuple[list[int], bool]]) -> None:
    customers, plain, sound, done = Customers(), Customers(), state_log.fold, 0

    def broken(states: np.ndarray, slots: np.ndarray, events: np.ndarray) -> None:
        sound(states, slots, events)
        raise Broken

    for batch, fails in plan:
        identities, events = identify([f"C{c}" for c in batch]), events_of(batch, done)
        done += len(batch)
        if fails:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(state_log, "fold", broken)
                with pytest.raises(Broken):
                    folded_or_untouched(customers, identities, events)
        else:
            folded_or_untouched(customers, identities, events)
            sound(plain.states, plain.locate(identities), events)
        assert customers.states.tobytes() == plain.states.tobytes()
        assert np.count_nonzero(customers._index) == customers.count
        assert not any(customers._states[customers.count :].tobytes())
    everybody = identify([f"C{c}" for c in range(3_001)])
    assert customers.locate(everybody).tolist() == plain.locate(everybody).tolist()
    assert customers.states.tobytes() == plain.states.tobytes()
    assert not customers.chunks.any()


@pytest.mark.parametrize("kept_bytes", [0, 1, 10])
def test_a_copy_whose_worker_was_killed_while_it_wrote_is_read_again_from_the_log(
    tmp_path: Path, kept_bytes: int
) -> None:
    store, plain = Dict(), Customers()
    for done in range(3):
        identities, events = identify(["C1", "C2"]), events_of([0, 1], 2 * done)
        folded = StateLog(store, LocalCopy(tmp_path)).fold(identities, events)
        expected = fold(plain.states, plain.locate(identities), events)
        assert folded.features.tobytes() == expected.features.tobytes()
        about = tmp_path / "about"
        about.write_bytes(about.read_bytes()[:kept_bytes])
