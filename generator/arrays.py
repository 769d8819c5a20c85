"""Array helpers that the generator's modules share."""

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Array = NDArray[Any]

_HEX = np.frombuffer(b"".join(b"%02x" % i for i in range(256)), np.dtype("S2"))


def pick(rng: np.random.Generator, weights: Array, n: int) -> Array:
    """Draw n indices into `weights` (k,), each with probability proportional to its weight."""
    edges = np.cumsum(weights)
    drawn: Array = np.searchsorted(edges, rng.random(n) * edges[-1], side="right")
    return drawn.clip(max=len(weights) - 1)


def zipf_weights(n: int, exponent: float = 1.0) -> Array:
    """Zipf's law over n ranks: weights (n,) proportional to 1 / rank ** exponent, with sum 1."""
    weights: Array = np.arange(1, n + 1) ** -exponent
    weights /= weights.sum()
    return weights


def hexadecimal(values: Array) -> pa.StringArray:
    """Unsigned 64-bit integers (n,) as an Arrow string array of 16 hexadecimal digits each."""
    digits = _HEX[values.astype(">u8").view(np.uint8)]
    offsets = np.arange(0, 16 * len(values) + 1, 16, dtype=np.int32)
    return pa.StringArray.from_buffers(len(values), pa.py_buffer(offsets.data), pa.py_buffer(digits.data))
