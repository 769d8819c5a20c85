"""The beginning of a score's JSON: all that is known of a transaction before the model is asked."""

from collections.abc import Sequence
from typing import Final

import msgspec
import numba
import numpy as np
import numpy.typing as npt
import orjson

from ml.features import FEATURES
from ml.schema import Transaction

Bytes = npt.NDArray[np.uint8]

_COMMA, _CLOSING_BRACKET, _CLOSING_BRACE, _LINE_END = b",]}\n"


class _Described(msgspec.Struct, gc=False):
    partition: int
    offset: int
    kafka_time: int
    late: bool
    key_mismatch: bool
    order_undefined: bool


_lines: Final = msgspec.json.Encoder().encode_lines
_labels: Final = [f',"{name}":'.encode() for name in FEATURES]
_labels[0] = b"{" + _labels[0][1:]
_LABELS: Final = np.frombuffer(b"".join(_labels), np.uint8)
_LABEL_STARTS: Final = np.cumsum([0, *map(len, _labels)])


def score_heads(
    transactions: Sequence[Transaction],
    records: Sequence[tuple[int, int, int, bytes | None]],
    late: npt.NDArray[np.bool_],
    order_undefined: npt.NDArray[np.bool_],
    features: npt.NDArray[np.float64],
) -> list[bytes]:
    """One beginning for each of n transactions, up to and with its features (n, len(FEATURES)), not yet closed.

    records: (partition, offset, kafka_time in ms, key) of each transaction's message.
    """
    described = [
        _Described(*record, delayed, key != transaction.customer_id.encode(), undefined)
        for transaction, (*record, key), delayed, undefined in zip(
            transactions, records, late.tolist(), order_undefined.tolist(), strict=True
        )
    ]
    # Encoded all at once, and cut at the line ends that no JSON contains.
    parts = (whole.split(b"\n")[:-1] for whole in (_lines(transactions), _lines(described), _objects(features)))
    return [b'%b,%b,"features":%b' % (begun[:-1], rest[1:-1], named) for begun, rest, named in zip(*parts, strict=True)]


def _objects(features: npt.NDArray[np.float64]) -> bytes:
    """Rows (n, len(FEATURES)) → n lines, each a JSON object of a row's features by name.

    Names put between the numbers of a matrix cost a third of what an object for each row costs.
    """
    matrix = np.frombuffer(orjson.dumps(features, option=orjson.OPT_SERIALIZE_NUMPY), np.uint8)
    objects = np.empty(len(matrix) + len(features) * (len(_LABELS) + 2), np.uint8)
    return objects[: _name(matrix, len(features), _LABELS, _LABEL_STARTS, objects)].tobytes()


@numba.njit(cache=True)
def _name(matrix: Bytes, n: int, labels: Bytes, label_starts: npt.NDArray[np.int64], objects: Bytes) -> int:
    """The matrix of n rows, as JSON, with a label before each number, into `objects`; returns how many bytes it takes."""
    read, written = 1, 0
    for _ in range(n):
        for number in range(len(label_starts) - 1):
            read += 1  # the bracket of the row, or the comma
            for at in range(label_starts[number], label_starts[number + 1]):
                objects[written] = labels[at]
                written += 1
            while matrix[read] != _COMMA and matrix[read] != _CLOSING_BRACKET:
                objects[written] = matrix[read]
                read, written = read + 1, written + 1
        objects[written], objects[written + 1] = _CLOSING_BRACE, _LINE_END
        read, written = read + 2, written + 2
    return written
