"""What the streaming job made of transactions, as it stands on the topic of scores."""

import logging
from collections.abc import Iterable, Mapping
from typing import Annotated, Final

import msgspec
import numpy as np

from ml.arrays import Flags, Floats
from ml.dataset.transactions import Transactions
from ml.evaluation.errors import EvaluationError
from ml.features.events import hash_id
from ml.schema import Identifier, Reader, SchemaVersion, Unreadable


class Scored(msgspec.Struct, frozen=True):
    """The part of `ml.schema.Score` that is judged, alike in all its versions."""

    transaction_id: Identifier
    anomaly_score: Annotated[float, msgspec.Meta(ge=0, le=1)]
    is_anomaly: bool
    schema_version: SchemaVersion = 1


_log = logging.getLogger(__name__)
_reader: Final = Reader(Scored)


def scored_from(topic: str, records: Iterable[tuple[str, bytes | None]]) -> dict[int, Scored]:
    """The scores among a topic's records, each with the place where it stands; by the hash of transaction_id.

    A record that was scored again after a restart has the same judgement, and counts once. What is not a score is left out,
    and logged.
    """
    found: dict[int, Scored] = {}
    unreadable: list[str] = []
    for place, value in records:
        try:
            score = _reader.read(value)
        except Unreadable as why:
            unreadable.append(f"at {place}: {why}")
        else:
            found[hash_id(score.transaction_id)] = score
    if unreadable:
        _log.warning("left out %d of %s, being no scores, the first %s", len(unreadable), topic, unreadable[0])
    return found


def matched(part: Transactions, scores: Mapping[int, Scored]) -> tuple[Transactions, Floats, Flags]:
    """The transactions that were scored, their scores (n,) and whether each was alerted (n,).

    Raises `EvaluationError` where none was.
    """
    here = [scores.get(transaction) for transaction in part.transaction.tolist()]
    rows = np.array([score is not None for score in here], np.bool_)
    if not rows.any():
        raise EvaluationError(
            f"the scores should be of the {len(part):,} transactions that judge, the last of the history, but of the "
            f"{len(scores):,} scores none is"
        )
    found = [score for score in here if score is not None]
    return (
        part.select(rows),
        np.array([s.anomaly_score for s in found]),
        np.array([s.is_anomaly for s in found], np.bool_),
    )
