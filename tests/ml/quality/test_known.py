"""What is known of transactions follows the one rule of labels."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ml import label_rule
from ml.label_rule import FRAUD, SOURCES
from ml.quality.known import known_frauds

LABELS = st.lists(st.tuples(st.integers(0, 4), st.integers(0, SOURCES - 1), st.integers(0, 2)), max_size=40)


@given(LABELS)
def test_what_is_known_is_what_the_rule_says_label_by_label(labels: list[tuple[int, int, int]]) -> None:
    rows, sources, verdicts = np.array(labels, np.int64).reshape(-1, 3).T
    found = known_frauds(5, rows, sources.astype(np.uint8), verdicts.astype(np.uint8), np.arange(len(rows)) + 100)
    for transaction in range(5):
        state, since = 0, 0
        for time, (row, source, verdict) in enumerate(labels, 100):
            if row == transaction:
                name = {0: "chargeback", 1: "analyst", 2: None}[source]
                said = {0: None, 1: False, 2: True}[verdict]
                change = label_rule.change(state, name, said)
                state, since = change.known, time if change.fraud > 0 else since
        is_fraud = label_rule.counting(state) == FRAUD
        assert found.is_fraud[transaction] == is_fraud
        assert found.since[transaction] == (since if is_fraud else 0)


def test_a_fraud_that_only_the_analyst_knows_is_distinguished_from_one_that_is_reported_too() -> None:
    rows, sources = np.array([0, 1, 1]), np.array([1, 1, 0], np.uint8)
    found = known_frauds(2, rows, sources, np.full(3, FRAUD, np.uint8), np.array([5, 6, 7]))
    assert found.by_alone(1).tolist() == [True, False]
    assert found.since.tolist() == [5, 6]
