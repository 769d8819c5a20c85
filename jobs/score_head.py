"""The beginning of a score's JSON: all that is known of a transaction before the model is asked."""

from collections.abc import Sequence
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

from ml.features import FEATURES
from ml.schema import Transaction

_Features = msgspec.defstruct("_Features", [(name, float) for name in FEATURES], gc=False)


class _Described(msgspec.Struct, gc=False):
    partition: int
    offset: int
    kafka_time: int
    late: bool
    key_mismatch: bool
    features: _Features  # type: ignore[valid-type]


_lines: Final = msgspec.json.Encoder().encode_lines


def score_heads(
    transactions: Sequence[Transaction],
    records: Sequence[tuple[int, int, int, bytes | None]],
    late: npt.NDArray[np.bool_],
    features: npt.NDArray[np.float64],
) -> list[bytes]:
    """One beginning for each of n transactions, up to and with its features (n, len(FEATURES)), not yet closed.

    records: (partition, offset, kafka_time in ms, key) of each transaction's message.
    """
    described = [
        _Described(*record, delayed, key != transaction.customer_id.encode(), _Features(*row))
        for transaction, (*record, key), delayed, row in zip(
            transactions, records, late.tolist(), features.tolist(), strict=True
        )
    ]
    # Encoded all at once, and cut at the line ends that no JSON contains.
    first, second = _lines(transactions).split(b"\n"), _lines(described).split(b"\n")
    return [begun[:-1] + b"," + rest[1:-1] for begun, rest in zip(first, second, strict=True) if begun]
