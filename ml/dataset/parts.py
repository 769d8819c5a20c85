"""The parts of a history that training uses, cut in time."""

from datetime import datetime
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from rich.progress import Progress

from ml.arrays import Floats, Names
from ml.dataset.history import History
from ml.features import NO_POSITION
from ml.features.customers import CustomerTable
from ml.features.events import events_from_arrow
from ml.features.extras import filled, with_extras
from ml.segments import segment_names

PARTS: Final = {"fit": (0.3, 0.6, 300_000), "threshold": (0.6, 0.9, 500_000), "check": (0.9, 1.0, 500_000)}
"""Where each part begins and ends, as shares of the rows, and the most rows of it that are kept, drawn at random."""


def chosen_rows(rows: int, seed: int) -> dict[str, npt.NDArray[np.int64]]:
    """Which rows of a history each part keeps, in ascending order; no row is in two parts."""
    random = np.random.default_rng(seed)
    chosen = {}
    for part, (begin, end, most) in PARTS.items():
        window = np.arange(round(begin * rows), round(end * rows))
        chosen[part] = window if len(window) <= most else np.sort(random.choice(window, most, replace=False))
    return chosen


class Part(NamedTuple):
    """Rows of one part, duplicates left out: features (n, len(FEATURES) + extras), transaction_ids and segments (n,)."""

    features: Floats
    transaction_ids: "pa.ChunkedArray[pa.StringScalar]"
    segments: Names


def fold_parts(
    history: History, customers: CustomerTable, seed: int, progress: Progress
) -> tuple[dict[str, Part], datetime]:
    """Fold the whole history into `customers`; returns the rows of each part, and the time of the last transaction."""
    chosen = chosen_rows(history.rows, seed)
    kept: dict[str, list[Part]] = {part: [] for part in chosen}
    bar = progress.add_task("folding transactions", total=history.rows)
    begin, end = 0, datetime.min
    for piece in history.pieces():
        folded = customers.fold(piece["customer_id"], events_from_arrow(piece))
        has_features = folded.duplicate_of == NO_POSITION
        features = with_extras(folded.features, piece, history.extras)
        segments = segment_names(piece)
        for part, rows in chosen.items():
            here = rows[slice(*np.searchsorted(rows, (begin, begin + piece.num_rows)))] - begin
            here = here[has_features[here]]
            kept[part].append(Part(features[here], piece["transaction_id"].take(pa.array(here)), segments[here]))
        begin += piece.num_rows
        end = piece["event_time"][-1].as_py()
        progress.advance(bar, piece.num_rows)
    known = filled(
        {part: np.concatenate([p.features for p in pieces]) for part, pieces in kept.items()}, history.extras
    )
    parts = {
        part: Part(
            known[part],
            pa.chunked_array([chunk for p in pieces for chunk in p.transaction_ids.chunks], pa.string()),
            np.concatenate([p.segments for p in pieces]),
        )
        for part, pieces in kept.items()
    }
    return parts, end
