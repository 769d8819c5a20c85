"""A segment is known by the same number wherever it is computed."""

import numpy as np
import pyarrow as pa

from ml.features.events import hash_id
from ml.schema import TRANSACTION_ARROW, Transaction
from ml.segments import places_among, segment_id, segment_ids, segment_name, segment_names


def test_a_tables_segments_are_those_of_its_rows_one_by_one() -> None:
    pairs = [("online", "travel"), (None, "travel"), ("atm", None), (None, None), ("online", "travel"), ("", "")]
    columns = {"channel": [one for one, _ in pairs], "merchant_category": [other for _, other in pairs]}
    table = pa.table({name: pa.array(values, TRANSACTION_ARROW.field(name).type) for name, values in columns.items()})
    names = segment_names(table)
    assert names.tolist() == [segment_name(*pair) for pair in pairs]
    assert segment_ids(names).tolist() == [segment_id(name) for name in names]
    assert segment_id("online × travel") == hash_id("online × travel")
    assert set(columns) <= set(Transaction.__struct_fields__)


def test_of_no_rows_there_are_no_segments() -> None:
    empty = TRANSACTION_ARROW.empty_table()
    assert len(segment_ids(segment_names(empty))) == 0


def test_a_segment_that_is_none_of_the_known_has_the_place_after_them() -> None:
    ids = np.array([3, 5, 2**64 - 1], np.uint64)
    asked = np.array([5, 4, 0, 2**64 - 1, 3], np.uint64)
    assert places_among(ids, asked).tolist() == [1, 3, 3, 2, 0]
    assert places_among(ids[:0], asked).tolist() == [0] * 5
