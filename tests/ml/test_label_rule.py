"""The rule of labels: both of its forms agree, and what anybody repeats, contradicts or sends out of order is bounded."""

from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ml.dataset.label_counts import LabelCounts, label_counts, report
from ml.dataset.labels import NONE, Labels
from ml.features import DAY
from ml.label_rule import (
    FRAUD,
    HONEST,
    NOTHING_KNOWN,
    SOURCES,
    UNKNOWN,
    change,
    changes,
    counting,
    source_number,
    verdict_number,
)

ORDER = ("chargeback", "analyst")


class Said(NamedTuple):
    """One label of one of a few transactions."""

    transaction: int
    source: str | None
    is_fraud: bool | None


said = st.builds(
    Said,
    st.integers(0, 3),
    st.sampled_from(["chargeback", "analyst", "simulator", "", None, "Chargeback"]),
    st.sampled_from([True, False, None]),
)
feeds = st.lists(said, max_size=40)


def by_hand(arrived: list[Said], transaction: int) -> int:
    """The rule in its own words: the latest of each source, and of these the first source that has not withdrawn."""
    latest: dict[int, bool | None] = {}
    for one in arrived:
        if one.transaction == transaction:
            latest[ORDER.index(one.source) if one.source in ORDER else len(ORDER)] = one.is_fraud
    standing = [latest[number] for number in sorted(latest) if latest[number] is not None]
    return verdict_number(standing[0]) if standing else UNKNOWN


def labels_of(feed: list[Said], times: list[int] | None = None, customers: list[int] | None = None) -> Labels:
    none = np.full(len(feed), NONE)
    transaction = np.array([one.transaction for one in feed], np.uint64)
    return Labels(
        pa.array([str(one.transaction) for one in feed], pa.string()),
        transaction,
        transaction if customers is None else np.array(customers, np.uint64),
        np.array([source_number(one.source) for one in feed], np.uint8),
        np.array([verdict_number(one.is_fraud) for one in feed], np.uint8),
        np.arange(len(feed)) if times is None else np.array(times, np.int64),
        none,
        none,
        (),
    )


@given(feeds)
def test_both_forms_agree_with_the_rule_after_every_label_that_arrives(feed: list[Said]) -> None:
    labels, asked = labels_of(feed), np.arange(5, dtype=np.uint64)
    known, fraud, labelled = [NOTHING_KNOWN] * 4, 0, 0
    in_arrays = labels.changes()
    for number, one in enumerate(feed):
        found = change(known[one.transaction], one.source, one.is_fraud)
        known[one.transaction], fraud, labelled = found.known, fraud + found.fraud, labelled + found.labelled
        verdicts = [by_hand(feed[: number + 1], transaction) for transaction in range(4)]
        assert [counting(each) for each in known] == verdicts
        assert labels.verdict_of(asked, by=number).tolist() == [*verdicts, UNKNOWN]
        assert labels.fraud_of(asked, by=number).tolist() == [verdict == FRAUD for verdict in [*verdicts, UNKNOWN]]
        assert (fraud, labelled) == (verdicts.count(FRAUD), 4 - verdicts.count(UNKNOWN))
        assert (in_arrays.fraud[number], in_arrays.labelled[number]) == (found.fraud, found.labelled)
        assert 0 <= found.known < 1 << 2 * SOURCES <= 256


@given(feeds, st.integers(0, 40))
def test_the_split_into_pieces_does_not_matter(feed: list[Said], cut: int) -> None:
    labels = labels_of(feed)
    rows = labels.transaction.astype(np.int64)
    whole, halves = np.zeros(4, np.uint8), np.zeros(4, np.uint8)
    changes(whole, rows, labels.source, labels.verdict)
    for part in (slice(cut), slice(cut, None)):
        changes(halves, rows[part], labels.source[part], labels.verdict[part])
    assert whole.tolist() == halves.tolist()


@given(feeds, st.randoms(use_true_random=False))
def test_the_order_in_which_sources_arrive_does_not_matter(feed: list[Said], random: "np.random.Generator") -> None:
    one_each = list({(one.transaction, source_number(one.source)): one for one in feed}.values())
    shuffled = list(one_each)
    random.shuffle(shuffled)  # type: ignore[arg-type]
    asked = np.arange(4, dtype=np.uint64)
    assert labels_of(one_each).verdict_of(asked).tolist() == labels_of(shuffled).verdict_of(asked).tolist()


@given(feeds, said)
def test_the_thousandth_repeat_changes_nothing(feed: list[Said], again: Said) -> None:
    known = NOTHING_KNOWN
    for one in [*feed, again]:
        if one.transaction == again.transaction:
            known = change(known, one.source, one.is_fraud).known
    for _ in range(1000):
        assert change(known, again.source, again.is_fraud) == (known, 0, 0)


def test_a_withdrawal_lets_the_next_source_count() -> None:
    feed = [Said(0, "simulator", False), Said(0, "analyst", True), Said(0, "chargeback", False)]
    feed += [Said(0, "chargeback", None), Said(0, "analyst", None), Said(0, "simulator", None)]
    labels = labels_of(feed)
    counted = [labels.verdict_of(np.zeros(1, np.uint64), by=k)[0] for k in range(len(feed))]
    assert counted == [HONEST, FRAUD, HONEST, FRAUD, HONEST, UNKNOWN]
    assert labels.changes().fraud.tolist() == [0, 1, -1, 1, -1, 0]
    assert labels.changes().labelled.tolist() == [1, 0, 0, 0, 0, -1]
    assert labels.rows_of(np.zeros(1, np.uint64)).tolist() == [NONE]


@given(feeds, st.data())
@example([Said(0, None, True), Said(0, None, False)], None)
def test_a_customer_is_known_as_compromised_while_a_fraud_of_theirs_counts(
    feed: list[Said], data: "st.DataObject | None"
) -> None:
    draw = (lambda of: [1] * len(feed)) if data is None else data.draw
    times = sorted(draw(st.lists(st.integers(0, 5 * DAY), min_size=len(feed), max_size=len(feed))))
    owners = [one.transaction % 2 for one in feed]  # two customers, each with two transactions
    labels = labels_of(feed, times, owners)
    for customer in range(3):
        for day in range(7):
            before = [one for one, time in zip(feed, times, strict=True) if time < day * DAY]
            expected = any(by_hand(before, t) == FRAUD for t in range(4) if t % 2 == customer)
            found = labels.known_compromised(np.array([customer], np.uint64), np.array([day]))
            assert found.tolist() == [expected]


@pytest.mark.parametrize(("known", "verdict"), [(0, UNKNOWN), (1, HONEST), (0b01_10_00, FRAUD), (0b10_01_00, HONEST)])
def test_what_is_known_is_one_byte_of_two_bits_a_source(known: int, verdict: int) -> None:
    assert counting(known) == verdict


def test_what_a_poisoned_feed_holds_is_counted_and_changes_no_more_than_one_verdict_a_transaction(
    caplog: pytest.LogCaptureFixture,
) -> None:
    feed = [Said(0, "chargeback", True)] * 1_000  # the same a thousand times
    feed += [Said(1, "analyst", bool(n % 2)) for n in range(100)]  # contradicting
    feed += [Said(1_000 + n, "chargeback", True) for n in range(50)]  # of unknown transactions
    feed += [Said(2, "chargeback", None), Said(3, "chargeback", True)]
    labels = labels_of(feed, list(range(len(feed))))
    history, times = (
        np.arange(4, dtype=np.uint64),
        np.array([0, 0, 0, 10**6]),
    )  # the last label is of a transaction to come
    counts = label_counts(labels, history, times)
    assert counts == LabelCounts(1_152, 999 + 1, 1, 50, 1)
    assert labels.fraud_of(history).tolist() == [True, True, False, True]
    assert labels.fraud_of(history, by=5).tolist() == [
        True,
        False,
        False,
        False,
    ]  # what is from the future has not come
    assert int(np.abs(labels.changes().fraud).max()) == 1
    report(counts, "here")
    assert "of 1152 labels 50 are of transactions that are not there, 1 came before theirs" in caplog.text
    caplog.clear()
    report(label_counts(labels_of([]), history, times), "here")
    report(label_counts(labels_of([]), history[:0], times[:0]), "here")
    assert caplog.text == ""
