"""The kinds of arrays that the parts of `ml` hand to each other."""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

Hashes = npt.NDArray[np.uint64]
"""64-bit hashes of ids; see `ml.features.events.hash_id`."""

Names = npt.NDArray[np.object_]
"""Texts, of which many are alike."""
