"""The beginning of a score's JSON."""

import json
from datetime import UTC, datetime

import hypothesis.extra.numpy as nst
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from detection.score_json import score_heads
from ml.features import FEATURES
from ml.schema import Transaction

NUMBERS = st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from([0.0, -0.0, 1e-320, -1.5e300, 2.0**53])


def transaction(customer: str) -> Transaction:
    return Transaction("t-" + customer, datetime(2026, 1, 2, 3, 4, 5, 678_000, UTC), customer, 12.5, country="FR")


@settings(deadline=None)  # its first call compiles
@given(nst.arrays(np.float64, st.tuples(st.integers(0, 5), st.just(len(FEATURES))), elements=NUMBERS))
def test_a_head_holds_the_transaction_its_place_and_every_feature_bit_for_bit(features: np.ndarray) -> None:
    n = len(features)
    transactions = [transaction(f'C"{row}\n') for row in range(n)]
    records = [(row % 4, 2**40 + row, 1_767_323_045_678 + row, b'C"0\n') for row in range(n)]
    late, order_undefined = np.arange(n) % 2 == 1, np.arange(n) % 3 == 1
    heads = score_heads(transactions, records, late, order_undefined, features)
    assert len(heads) == n
    for row, head in enumerate(heads):
        read = json.loads(head + b"}")
        of_features = np.array(list(read["features"].values()))
        assert list(read.pop("features")) == list(FEATURES)
        assert of_features.tobytes() == features[row].tobytes()
        assert (read["transaction_id"], read["country"]) == (f't-C"{row}\n', "FR")
        assert (read["partition"], read["offset"], read["kafka_time"]) == records[row][:3]
        assert (read["late"], read["key_mismatch"], read["order_undefined"]) == (row % 2 == 1, row != 0, row % 3 == 1)
