"""What the profiles query keeps: tables are the pure function of what was taken in, whatever the cut and the kills."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detection.profile_store import ProfileStore
from jobs import profile_state, profile_state_form
from jobs.known_labels import MOST_EARLY
from jobs.profile_state import ProfileState
from jobs.profile_state_form import Limits, Made
from jobs.runtime.storage import DurableFolder
from ml.dataset.profiling import COUNTS_FILE, LABEL_COUNTS_FILE, TABLE_FILE
from ml.features.events import hash_id
from ml.features.profile_counts import label_counts
from ml.features.profile_file import write
from ml.features.profiles import LABEL_COUNTS, Profiles
from tests.jobs.profile_log import BLOCK_SECONDS, LATER, MERCHANTS, START, Record, counted, label, labels, score, scores
from versions.errors import PastUnusable
from versions.past_profiles import read_past_profiles

LIMITS = Limits(BLOCK_SECONDS, 60, 10_000)
FIRST = START // 1000 // BLOCK_SECONDS


def state(folder: Path, limits: Limits = LIMITS) -> ProfileState:
    return ProfileState(
        DurableFolder.on_disk(folder / "state"), ProfileStore(DurableFolder.on_disk(folder / "made")), limits
    )


def table(folder: Path, made: Made) -> Profiles:
    return ProfileStore(DurableFolder.on_disk(folder / "made")).table(made.name)


def run(folder: Path, pieces: Sequence[Sequence[Record]], killed: Sequence[int] = ()) -> list[Made]:
    """Take in each piece as a micro-batch; those that are killed are taken in again by what is durable. All tables made."""
    kept, made = state(folder), list[Made]()
    for number, piece in enumerate(pieces):
        for attempt in range(2 if number in killed else 1):
            if attempt or number in killed:
                kept = state(folder)
            taken, _ = counted([piece], kept.state.seen)
            found = kept.take_in(number, taken, {"scores": {"0": number}}, made[-1] if made else None)
        if number in killed:
            kept = state(folder)
            taken, _ = counted([piece], kept.state.seen)
            found = kept.take_in(number, taken, {"scores": {"0": number}}, made[-1] if made else None)
        kept.settle(found)
        if found.made is not None and found.made not in made:
            made.append(found.made)
    return made


def pure(records: Sequence[Record], as_of: int) -> Profiles:
    """The table as of a block, of all these records at once."""
    found, _ = counted([records])
    out = Profiles.empty(as_of, BLOCK_SECONDS)
    out.take_in(found.counts[found.counts["block"] <= as_of])
    return out


def same(one: Profiles, other: Profiles) -> bool:
    one, other = one.pruned(), other.pruned()
    arrays = ((one.keys, other.keys), (one.sums, other.sums), (one.total, other.total))
    return one.as_of == other.as_of and all(a.tobytes() == b.tobytes() for a, b in arrays)


@settings(max_examples=25)
@given(
    cuts=st.lists(st.integers(0, 399), max_size=8),
    killed=st.sets(st.integers(0, 8)),
    back=st.integers(0, 30),
)
def test_a_table_is_the_pure_function_of_the_scores_whatever_the_cut_and_the_kills(
    cuts: list[int], killed: set[int], back: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    whole = scores(range(400))
    edges = [0, *sorted(cuts), 400]
    pieces = [whole[max(0, start - back) : end] for start, end in zip(edges, edges[1:], strict=False)]  # noqa: RUF007
    folder = tmp_path_factory.mktemp("profiles")
    made = run(folder, pieces, sorted(killed))
    assert made[-1].as_of == FIRST + 5
    assert [one.version for one in made] == list(range(1, len(made) + 1))
    assert same(table(folder, made[-1]), pure(whole, made[-1].as_of))


def frauds(numbers: Sequence[int], blocks: Sequence[int], at: Sequence[int], says: Sequence[int]) -> np.ndarray:
    merchant = np.array([hash_id(f"M{n % MERCHANTS}") for n in numbers], np.uint64)
    category = np.array([hash_id("fuel" if n % 2 else None) for n in numbers], np.uint64)
    return label_counts(merchant, category, *(np.array(x, np.int64) for x in (blocks, at, at, says)))


def test_labels_count_with_the_merchant_of_their_transaction_and_are_taken_back_exactly(tmp_path: Path) -> None:
    whole = scores(range(400))
    first = [*whole[:130], *labels([label(3), label(10), label(10, False, "chargeback"), label(11, False), label(5)])]
    second = [*whole[130:200], *labels([label(5, None), label(11, True, "chargeback"), label(3), label(3)], 5)]
    made = run(tmp_path, [first, second, whole[200:]])
    assert [one.as_of - FIRST for one in made] == [1, 2, 5]
    expected = pure(whole[:130], FIRST + 1)
    expected.take_in_labels(frauds([3, 5], [FIRST] * 2, [FIRST + 1] * 2, [1, 1]))
    assert same(table(tmp_path, made[0]), expected)
    expected = pure(whole, FIRST + 5)
    expected.take_in_labels(frauds([3, 11], [FIRST] * 2, [FIRST + 1, FIRST + 2], [1, 1]))
    assert same(table(tmp_path, made[2]), expected)


def test_a_poisoned_feed_changes_no_more_than_one_label_would(tmp_path: Path) -> None:
    whole = scores(range(400))
    poison = [label(3)] * 500 + [label(3, False), label(3)] * 250 + [label(3, True, "analyst", "2099-01-01T00:00:00Z")]
    poison += [label(1_000_000 + n % 50) for n in range(500)]
    plain = run(tmp_path / "plain", [[*whole[:130], *labels([label(3)])], whole[130:]])
    made = run(tmp_path / "poisoned", [[*whole[:130], *labels(poison)], [*whole[130:], *labels(poison, 5_000)]])
    for one, other in zip(plain, made, strict=True):
        assert same(table(tmp_path / "plain", one), table(tmp_path / "poisoned", other))
    kept = state(tmp_path / "poisoned").state
    assert kept.totals.labels == 2 * len(poison)
    assert len(kept.early) / 34 < 2 * MOST_EARLY
    assert kept.totals.unchanged > 0


def test_a_label_that_comes_before_its_score_waits_for_it(tmp_path: Path) -> None:
    whole = scores(range(400))
    made = run(tmp_path, [[*whole[:130], *labels([label(150), label(777_777)])], whole[130:200], whole[200:]])
    expected = pure(whole, FIRST + 5)
    expected.take_in_labels(frauds([150], [FIRST + 2], [FIRST + 2], [1]))
    assert same(table(tmp_path, made[-1]), expected)


def test_labels_that_come_before_any_score_wait_too(tmp_path: Path) -> None:
    whole = scores(range(400))
    made = run(tmp_path, [labels([label(3)]), whole[:200], whole[200:]])
    expected = pure(whole, FIRST + 5)
    expected.take_in_labels(frauds([3], [FIRST], [FIRST + 2], [1]))
    assert same(table(tmp_path, made[-1]), expected)


def test_a_label_of_which_no_transaction_comes_is_given_up_after_a_day(tmp_path: Path) -> None:
    day = scores(range(400, 600), every_seconds=86_400 / 100)
    made = run(tmp_path, [[*scores(range(400)), *labels([label(777_777)])], day, [*day[:1], *labels([label(400)], 1)]])
    assert made
    kept = state(tmp_path).state
    assert (kept.totals.given_up, len(kept.early)) == (1, 0)


def test_of_old_transactions_the_index_forgets_and_old_tables_are_deleted(tmp_path: Path) -> None:
    limits = Limits(BLOCK_SECONDS, 1, 10_000)
    kept = state(tmp_path, limits)
    for number in range(12):
        piece = scores(range(100 * number, 100 * number + 100), every_seconds=864.0)
        taken, _ = counted([piece], kept.state.seen)
        kept.settle(kept.take_in(number, taken, {}, None))
    assert len(list((tmp_path / "made").iterdir())) == 3
    assert sum(file.rows for file in kept.state.files["entries"]) <= 800
    assert len(list((tmp_path / "state").iterdir())) <= 12


def history(folder: Path, until: int) -> None:
    """The profiles of the scores of some seconds, as training leaves them: of the last block the counts alone."""
    whole, _ = counted([scores(range(until))])
    early = whole.counts["block"] < whole.counts["block"].max()
    past = Profiles.empty(int(whole.counts["block"].max()) - 1, BLOCK_SECONDS)
    past.take_in(whole.counts[early])
    write(past, folder / TABLE_FILE)
    np.save(folder / COUNTS_FILE, whole.counts[~early])
    np.save(folder / LABEL_COUNTS_FILE, np.zeros(0, LABEL_COUNTS))


def test_a_first_start_goes_on_from_the_profiles_of_a_history(tmp_path: Path) -> None:
    history(tmp_path, 200)
    past = read_past_profiles(DurableFolder.on_disk(tmp_path), "customers.parquet", BLOCK_SECONDS)
    assert past is not None
    kept = state(tmp_path)
    assert kept.is_new
    made = kept.begin(past, 1)
    assert (made.as_of, made.name) == (FIRST + 2, past.name(1))
    again = state(tmp_path)
    assert not again.is_new
    # Scores of what the history has counted are found by labels, and count no second time.
    piece = [*scores(range(100)), *scores(range(200, 400)), *labels([label(3)])]
    taken, _ = counted([piece], again.state.seen)
    found = again.take_in(0, taken, {}, None).made
    assert found is not None
    expected = pure(scores(range(400)), FIRST + 5)
    expected.take_in_labels(frauds([3], [FIRST], [FIRST + 5], [1]))
    assert same(table(tmp_path, found), expected)


def test_a_history_of_other_blocks_or_a_damaged_one_is_refused(tmp_path: Path) -> None:
    assert read_past_profiles(DurableFolder.on_disk(tmp_path), "customers.parquet", BLOCK_SECONDS) is None
    history(tmp_path, 200)
    with pytest.raises(PastUnusable, match=r"blocks of 60 s, but --profile-block-seconds is 3600"):
        read_past_profiles(DurableFolder.on_disk(tmp_path), "customers.parquet", 3_600)
    (tmp_path / COUNTS_FILE).write_bytes(b"no counts")
    with pytest.raises(PastUnusable, match=r"beside --initial-state customers.parquet can't be used"):
        read_past_profiles(DurableFolder.on_disk(tmp_path), "customers.parquet", BLOCK_SECONDS)


def test_scores_that_are_dated_far_ahead_do_not_move_the_table(tmp_path: Path) -> None:
    whole = scores(range(400))
    far = [
        score(1_000 + n, 300.0, event_time=f"9998-01-01T00:0{n % 5}:30Z", kafka_time=kafka_time)
        for n, kafka_time in enumerate([START] * 5 + [2**63 - 1] * 5 + [253_370_764_800_000] * 5)
    ]
    records = [Record("scores", 0, 9_000 + n, value, LATER) for n, value in enumerate(far)]
    made = run(tmp_path, [whole[:200], records, whole[200:]])
    assert made[-1].as_of == FIRST + 5
    assert same(table(tmp_path, made[-1]), pure(whole, FIRST + 5))


def test_invented_offsets_and_times_leave_honest_scores_what_they_count(tmp_path: Path) -> None:
    whole = scores(range(400))
    invented = [
        score(5_000 + n, 1.0, partition=n % 2, offset=offset, event_time=f"{1000 + n}-01-01T00:00:00Z")
        for n, offset in enumerate([2**48 - 1, 2**47, 2**30, 10**6] * 5)
    ]
    records = [Record("scores", 0, 9_000 + n, value) for n, value in enumerate(invented)]
    made = run(tmp_path, [whole[:100], records, whole[50:200], records, whole[150:]], [3, 4])
    assert made[-1].as_of == FIRST + 5
    found, expected = table(tmp_path, made[-1]), pure(whole, FIRST + 5)
    assert same(found, expected)


def test_a_later_score_of_the_same_transaction_takes_no_label_with_it(tmp_path: Path) -> None:
    whole = scores(range(400))
    another = Record("scores", 0, 9_000, score(3, 100.0, merchant_id="another", partition=5, offset=7))
    made = run(tmp_path, [whole[:200], [another], labels([label(3)]), whole[200:]])
    expected = pure([*whole, another], FIRST + 5)
    at = FIRST + 3  # after the first table, as of FIRST + 2
    expected.take_in_labels(frauds([3], [FIRST], [at], [1]))
    assert same(table(tmp_path, made[-1]), expected)


def test_traffic_of_invented_times_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(profile_state_form, "_DAY_SECONDS", 432)  # some 7 blocks
    whole, most = scores(range(400)), 4 * 57
    old = [
        Record("scores", 0, 9_000 + n, score(5_000 + n, -60.0 * n, kafka_time=START, partition=3, offset=n))
        for n in range(500)
    ]
    kept = state(tmp_path)
    for number, piece in enumerate([whole[:100], *(old[n : n + 100] for n in range(0, 500, 100)), whole[100:]]):
        taken, _ = counted([piece], kept.state.seen)
        kept.settle(kept.take_in(number, taken, {}, None))
        assert len(kept.state.traffic) <= 16 * most
    assert kept.state.made is not None
    assert kept.state.made.as_of == FIRST + 5


def test_a_table_keeps_the_busiest_however_many_names_are_invented(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(profile_state, "_MOST_ENTITIES", 8)
    whole = scores(range(400))
    invented = [
        Record("scores", 0, 9_000 + n, score(5_000 + n, 1.0, merchant_id=f"invented {n}", partition=3, offset=n))
        for n in range(300)
    ]
    made = run(tmp_path, [whole[:200], invented, whole[200:]])
    assert made[-1].entities == 8
    assert same(table(tmp_path, made[-1]), pure([*whole, *invented], FIRST + 5).pruned(8))


def test_a_partition_begins_again_once_for_each_topic_that_kafka_knows(tmp_path: Path) -> None:
    kept, whole = state(tmp_path), scores(range(100))
    taken, _ = counted([whole], kept.state.seen)
    kept.settle(kept.take_in(0, taken, {}, None))
    assert kept.forget_partitions([0], "first id")
    kept.settle(kept.take_in(1, counted([whole], kept.state.seen)[0], {}, None))
    again = state(tmp_path)
    assert not again.forget_partitions([0], "first id")
    assert len(counted([whole], again.state.seen)[0].entries) == 0
    assert again.forget_partitions([0], "second id")
    assert len(counted([whole], again.state.seen)[0].entries) == 50
    assert again.forget_partitions([0], "")


def test_versions_go_on_from_what_the_topic_holds(tmp_path: Path) -> None:
    kept = state(tmp_path)
    taken, _ = counted([scores(range(400))], kept.state.seen)
    found = kept.take_in(0, taken, {}, Made(41, "f" * 64, FIRST, 1, 1))
    assert found.made is not None
    assert found.made.version == 42
    # Announced, and then killed: the same table has the same version again.
    again = state(tmp_path)
    taken, _ = counted([scores(range(400))], again.state.seen)
    assert again.take_in(0, taken, {}, found.made).made == found.made
