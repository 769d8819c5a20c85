"""Everything that led to a judgement, from the lake, the ledger and the models kept beside the checkpoint."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np

from detection.decision import basis_type, extras_in
from detection.durable_folder import DurableFolder
from detection.errors import VersionUnavailable
from detection.ledger import Ledger, Versions
from detection.model_versions import ModelVersions
from detection.profile_store import ProfileStore
from detection.threshold_store import ThresholdStore
from detection.version_store import VersionStore
from jobs.declared_extras import declared_in, model_store
from lake.place import Place
from lake.views import connect
from ml.explanation import in_words, number
from ml.features import FEATURE_SET, FEATURES
from ml.features.events import hash_id, milliseconds
from ml.features.profiles import PROFILE_FEATURES
from ml.model import Model
from ml.schema import TRANSACTION_FIELDS, Reason
from ml.segments import segment_ids_of
from settings import Settings

_NOT_OURS: Final = (TypeError, ValueError, KeyError, AttributeError, msgspec.DecodeError)
"""What a row raises that somebody else wrote: a column or a value lacks, or is of another form."""

_reasons: Final = msgspec.json.Decoder(list[Reason]).decode

Row = dict[str, Any]


class Archived(NamedTuple):
    """A record of a transaction: its row of the lake's scores, and its labels in the order in which they came."""

    score: Row
    labels: list[Row]


def archived(place: Place, transaction_id: str) -> list[Archived]:
    """The records of a transaction, in the order of the log; several where producers sent it again."""
    with connect(place) as lake:
        order = 'topic_id, "partition", "offset"'
        scores = _rows(
            lake.execute(f"select * from scores where transaction_id = ? order by {order}", [transaction_id])
        )
        labels = _rows(
            lake.execute(
                'select * from label_log where transaction_id = ? order by archived_at, "partition", "offset"',
                [transaction_id],
            )
        )
    return [Archived(score, labels) for score in scores]


def _rows(found: Any) -> list[Row]:
    names = [column[0] for column in found.description]
    return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


class Explainer:
    """Explains records by what one checkpoint's ledger names; nothing is written there."""

    def __init__(self, settings: Settings, checkpoint: Path) -> None:
        def folder(name: str) -> DurableFolder:
            return DurableFolder.on_disk(checkpoint / name, create=False)

        self._ledger = Ledger(folder("ledger"))
        registry = model_store(settings, declared_in(settings))
        self._versions = VersionStore(
            ModelVersions(registry, folder("models"), others=True),
            ThresholdStore(folder("tables")),
            ProfileStore(folder("profile-tables")),
        )

    def versions(self, score: Row) -> Versions | None:
        """What the ledger says that the record was judged by; None where it does not know the record.

        Where a model on trial judges a share of the customers, the score says which of the two it was.
        """
        found = self._ledger.versions_at(score["partition"], score["offset"], score["topic_id"])
        either = () if found is None else (found, found.by_challenger)
        return next((one for one in either if one and one.model_digest.startswith(score["model_digest"])), None)

    def lines(self, one: Archived) -> Iterator[str]:
        """The explanation, line by line."""
        score = one.score
        yield f"transaction {score['transaction_id']}"
        for name in TRANSACTION_FIELDS[1:]:
            if score[name] is not None:
                yield f"  {name}: {score[name]}"
        yield f"  record: partition {score['partition']}, offset {score['offset']} of topic {score['topic_id'] or 'unknown'}"
        yield f"judged {_verdict(score['is_anomaly'])}: score {score['anomaly_score']:.6f}, threshold {score['threshold']:.6f}"
        versions = self.versions(score)
        model = self._model(versions)
        yield from _judges(score, versions, model)
        yield from (f"  because: {reason}" for reason in _because(score["reasons"]))
        yield "features, and what is usual (98 % of the training transactions)"
        yield from _features(score, model)
        yield "labels" if one.labels else "labels: none so far"
        for label in one.labels:
            said = {True: "fraud", False: "honest", None: "withdrawn"}[label["is_fraud"]]
            yield f"  {label['label_time']:%Y-%m-%d %H:%M:%S} {label['source']}: {said}"

    def recomputed(self, score: Row) -> tuple[str, bool]:
        """(what the same model, thresholds and profiles say now, whether it is the same bit for bit)."""
        versions = self.versions(score)
        if versions is None:
            return "not judged again: the ledger does not know this record, so what judged it is not known", False
        try:
            judged = self._versions.decision(versions).judge(basis_of(score))
        except VersionUnavailable as error:
            return f"not judged again: {error}", False
        except _NOT_OURS as error:
            return f"not judged again: its row of the lake is not as the archive writes it ({error})", False
        now = (float(judged.anomaly_score[0]), float(judged.threshold[0]), bool(judged.is_anomaly[0]))
        same = now == (score["anomaly_score"], score["threshold"], score["is_anomaly"])
        verdict = f"{_verdict(now[2])}: {'the same' if same else 'NOT the same'}"
        return f"judged again: score {now[0]!r}, threshold {now[1]!r}, {verdict}", same

    def _model(self, versions: Versions | None) -> Model | None:
        try:
            return None if versions is None else self._versions.model(versions)
        except VersionUnavailable:
            return None


def explained(explainer: Explainer, one: Archived) -> list[str]:
    """All lines about a record, or one where its row of the lake is not as the archive writes it: then none can be trusted."""
    try:
        return list(explainer.lines(one))
    except _NOT_OURS as error:
        record = f"partition {one.score.get('partition')}, offset {one.score.get('offset')}"
        return [
            f"transaction {one.score.get('transaction_id')}",
            f"  record: {record}: its row of the lake is not as the archive writes it ({error})",
        ]


def _because(reasons: str | None) -> list[str]:
    """A score's reasons in words; a foreign score may have any JSON in their place."""
    if reasons is None:
        return []
    try:
        return [in_words(reason) for reason in _reasons(reasons)]
    except msgspec.DecodeError:
        return [f"{reasons:.200} (not as the job writes reasons)"]


def basis_of(score: Row) -> np.ndarray:
    """(1,) `detection.decision.basis_type`: what the judgement of an archived score rested on."""
    extras: dict[str, float | None] = {} if score["extras"] is None else msgspec.json.decode(score["extras"])
    basis = np.zeros(1, basis_type(tuple(extras)))
    basis["features"] = score["features"]
    basis["segment"] = np.array(segment_ids_of([(score["channel"], score["merchant_category"])]), np.uint64)
    basis["merchant"], basis["category"] = hash_id(score["merchant_id"]), hash_id(score["merchant_category"])
    basis["time"] = milliseconds(score["event_time"])
    if extras:
        extras_in(basis)[:] = [np.nan if value is None else value for value in extras.values()]
    return basis


def _judges(score: Row, versions: Versions | None, model: Model | None) -> Iterator[str]:
    yield (
        f"  model {score['model_name']} version {score['model_version']} ({score['model_digest']}), "
        f"thresholds {_table(score['threshold_version'])}, profiles {score['profile_version'] or 'none'}, "
        f"micro-batch {score['micro_batch']}"
    )
    if versions is None:
        yield "  the ledger does not know this record"
        return
    yield "  the ledger names the same"
    if model is not None and model.origin.registry:
        yield f"  the model came from {model.origin.registry}, run {model.origin.run or 'unknown'}"


def _features(score: Row, model: Model | None) -> Iterator[str]:
    known = score["feature_set"] == FEATURE_SET
    names: Sequence[str] = FEATURES if known else [f"feature {i}" for i in range(len(score["features"]))]
    values = dict(zip(names, score["features"], strict=True))
    values |= dict(zip(PROFILE_FEATURES, score["profile_features"] or [], strict=False))
    usual = {} if model is None else dict(zip(model.features, model.usual.tolist(), strict=True))
    for name, value in values.items():
        low, _, high = usual.get(name, (None, None, None))
        said = "" if low is None else f"  usually {number(low)} to {number(high)}"
        mark = " *" if low is not None and not low <= value <= high else ""
        yield f"  {name}: {number(value)}{said}{mark}"


def _verdict(is_anomaly: bool) -> str:
    return "an anomaly" if is_anomaly else "normal"


def _table(version: int) -> str:
    return f"table {version}" if version else "the model's own"
