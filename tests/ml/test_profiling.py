"""Profile features of a history: what each may know, whatever is cut, moved or taken back."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml.dataset.labels import Labels
from ml.dataset.profiling import COUNTS_FILE, LABEL_COUNTS_FILE, TABLE_FILE, ProfilePass
from ml.features import EVENT, FEATURES, HOUR
from ml.features.profile_counts import blocks_of, label_counts, transaction_counts
from ml.features.profile_file import read
from ml.features.profile_schema import BLOCK_SECONDS, PROFILE_FEATURES
from ml.features.profiles import Profiles
from ml.label_rule import FRAUD, HONEST, UNKNOWN

START = 480_000 * HOUR
LOG_AMOUNT, NEW_MERCHANT = FEATURES.index("log_amount"), FEATURES.index("new_merchant")
RISKS = [i for i, name in enumerate(PROFILE_FEATURES) if "risk" in name]

Log = tuple[np.ndarray, np.ndarray]


@st.composite
def logs(draw: st.DrawFn) -> Log:
    """(events, features): some days of a few merchants, in the order of time, with what the fold would say of them."""
    n = draw(st.integers(1, 40))
    gaps = draw(st.lists(st.sampled_from([0, 0, HOUR // 3, HOUR, 5 * HOUR, 40 * HOUR]), min_size=n, max_size=n))
    events, features = np.zeros(n, EVENT), np.zeros((n, len(FEATURES)))
    events["time"] = START + np.cumsum(gaps)
    events["transaction"] = np.arange(n) + 1
    events["merchant"] = draw(st.lists(st.integers(0, 3), min_size=n, max_size=n))
    events["category"] = draw(st.lists(st.integers(0, 2), min_size=n, max_size=n))
    features[:, LOG_AMOUNT] = draw(st.lists(st.floats(0, 9), min_size=n, max_size=n))
    features[:, NEW_MERCHANT] = draw(st.lists(st.integers(0, 1), min_size=n, max_size=n))
    return events, features


News = list[tuple[int, int, int]]
"""(transaction, hours after the start, verdict) of each label."""

news = st.lists(
    st.tuples(st.integers(1, 20), st.integers(0, 120), st.sampled_from([FRAUD, FRAUD, FRAUD, HONEST, UNKNOWN])),
    max_size=12,
)


def labels(said: News) -> Labels:
    said = sorted(said, key=lambda label: label[1])
    m = len(said)
    none = np.full(m, -1)
    transaction = np.array([label[0] for label in said], np.uint64)
    times = np.array([START + label[1] * HOUR for label in said], np.int64)
    verdict = np.array([label[2] for label in said], np.uint8)
    return Labels(
        pa.nulls(m, pa.string()), transaction, transaction, np.zeros(m, np.uint8), verdict, times, none, none, ()
    )


def features_of(log: Log, said: News, cuts: list[int] | None = None, delay: int = 0) -> np.ndarray:
    events, features = log
    made = ProfilePass(labels(said), delay_blocks=delay)
    bounds = [0, *sorted(cut % (len(events) + 1) for cut in cuts or ()), len(events)]
    pieces = [
        made.features(events[begin:end], features[begin:end], np.arange(end - begin)) for begin, end in pairwise(bounds)
    ]
    return np.concatenate(pieces)


def by_hand(log: Log, said: News, row: int, delay: int) -> np.ndarray:
    """The features of one transaction, from a table that is made for it alone."""
    events, features = log
    block = blocks_of(events["time"], BLOCK_SECONDS)
    as_of = int(block[row]) - 1 - delay
    table = Profiles.empty(int(block[0]) - 1 - delay)
    old = block <= as_of
    for over in np.unique(block[old]):
        table.advance(int(over))
        now = block == over
        table.take_in(transaction_counts(events["merchant"][now], events["category"][now], block[now], features[now]))
    news_by_hand = []
    for transaction in events["transaction"][old]:
        verdict, since = UNKNOWN, 0
        of = np.flatnonzero(events["transaction"] == transaction)
        for _, hours, says in sorted((label for label in said if label[0] == transaction), key=lambda label: label[1]):
            known = max(START // HOUR + hours, int(block[of][0]))
            change = int(says == FRAUD) - int(verdict == FRAUD)
            since = START // HOUR + hours if change > 0 else since
            verdict = says
            if change and known <= as_of:
                places = [np.array([value]) for value in (int(block[of][0]), since, known, change)]
                counts = label_counts(events["merchant"][of], events["category"][of], *places)
                news_by_hand.append((known, counts))
    labelled = Profiles.empty(int(block[0]) - 1 - delay)
    for known, counts in sorted(news_by_hand, key=lambda each: each[0]):
        labelled.advance(known)
        labelled.take_in_labels(counts)
    labelled.advance(as_of)
    table.advance(as_of)
    rows = table.make_room(labelled.keys)
    table.sums[rows] += labelled.sums
    table.total += labelled.total
    here = events[row : row + 1]
    return table.features(here["merchant"], here["category"], features[row : row + 1, LOG_AMOUNT])[0]


@settings(max_examples=40)
@given(logs(), news, st.integers(0, 3))
def test_a_feature_is_what_is_known_as_of_the_last_full_block(log: Log, said: News, delay: int) -> None:
    made = features_of(log, said, delay=delay)
    for row in range(0, len(made), 3):
        assert made[row].tolist() == by_hand(log, said, row, delay).tolist()


@given(logs(), news, st.lists(st.integers(0, 99), max_size=5))
def test_the_pieces_of_a_history_do_not_matter(log: Log, said: News, cuts: list[int]) -> None:
    assert features_of(log, said, cuts).tolist() == features_of(log, said).tolist()


@given(logs(), news, st.integers(0, 39))
def test_no_feature_knows_anything_of_its_own_block_or_a_later_one(log: Log, said: News, row: int) -> None:
    events, features = log
    row %= len(events)
    block = blocks_of(events["time"], BLOCK_SECONDS)
    changed = events.copy(), features.copy()
    later = np.flatnonzero((block >= block[row]) & (np.arange(len(block)) != row))
    changed[0]["merchant"][later], changed[0]["category"][later] = 1, 1
    changed[1][later] = 7.5
    heard = [label for label in said if START // HOUR + label[1] < block[row]]
    assert features_of(changed, heard)[row].tolist() == features_of(log, said)[row].tolist()


@given(news.filter(len), st.integers(0, 11), st.integers(1, 500))
def test_a_label_that_comes_later_changes_no_earlier_feature(said: News, which: int, hours: int) -> None:
    log = shop(5)
    transaction, at, verdict = said[which % len(said)]
    moved = [*said[: which % len(said)], (transaction, at + hours, verdict), *said[which % len(said) + 1 :]]
    earlier = blocks_of(log[0]["time"], BLOCK_SECONDS) <= START // HOUR + at
    assert features_of(log, said)[earlier].tolist() == features_of(log, moved)[earlier].tolist()


def shop(days: int) -> Log:
    """A transaction each hour, of three merchants in turn."""
    events, features = np.zeros(24 * days, EVENT), np.zeros((24 * days, len(FEATURES)))
    events["time"] = START + HOUR * np.arange(24 * days)
    events["transaction"] = np.arange(24 * days) + 1
    events["merchant"] = 1 + np.arange(24 * days) % 3
    events["category"] = 1
    features[:, LOG_AMOUNT] = 3.0
    return events, features


def test_a_merchant_is_risky_from_the_block_after_the_label_of_its_fraud() -> None:
    made = features_of(shop(20), [(1, 100, FRAUD)])
    first = made[:, PROFILE_FEATURES.index("merchant_risk_7d")].round(9)
    assert not first[:101].any()
    assert (first[101:][first[101:] > 0].size, set(first[101:104] > 0)) == (pytest.approx(126, abs=2), {True, False})


def test_without_labels_no_merchant_is_risky() -> None:
    events, features = shop(5)
    made = ProfilePass(None).features(events, features, np.arange(len(events)))
    assert not made[:, RISKS].any()
    assert made.any()


def test_duplicates_are_not_counted() -> None:
    events, features = shop(5)
    twice = np.repeat(np.arange(len(events)), 2)
    features_twice = features[twice]
    features_twice[1::2] = 0  # as the fold leaves them
    made = ProfilePass(None).features(events[twice], features_twice, np.arange(0, len(twice), 2))
    assert made[::2].tolist() == ProfilePass(None).features(events, features, np.arange(len(events))).tolist()


def test_what_a_history_ends_with_is_written_for_a_job_to_go_on_from(tmp_path: Path) -> None:
    log, said = shop(6), [(3, 50, FRAUD), (140, 143, FRAUD), (4, 300, FRAUD)]
    events, features = log
    made = ProfilePass(labels(said))
    made.features(events, features, np.arange(len(events)))
    made.write(tmp_path / "state")
    table, _ = read(tmp_path / "state" / TABLE_FILE)
    counts, news_of_labels = np.load(tmp_path / "state" / COUNTS_FILE), np.load(tmp_path / "state" / LABEL_COUNTS_FILE)
    last = START // HOUR + 6 * 24 - 1
    assert table.as_of == last - 1
    assert set(counts["block"]) == set(news_of_labels["block"]) == {last}
    table.advance(last)
    table.take_in(counts)
    table.take_in_labels(news_of_labels)
    more = np.concatenate([events, events[-1:]])
    more["time"][-1] += HOUR
    at_once = features_of((more, np.concatenate([features, features[-1:]])), said[:2])[-1]
    assert table.features(more["merchant"][-1:], more["category"][-1:], np.array([3.0]))[0].tolist() == at_once.tolist()
