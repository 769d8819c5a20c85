"""A score's JSON, written and read: `ml.schema.Score`, of which each part is written as soon as it is known.

`heads` is what is known when a message has been folded, `judgements` what the decision adds, `closing` what a micro-batch's
records share; one after the other they are one JSON object. `read` takes this form and that of earlier releases.
"""

from collections.abc import Sequence
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt
import orjson

from detection.decision import Beside, Judgements, LookedUp
from detection.message_parsing import key_mismatch
from detection.old_score import OldScore
from detection.ranges import Versions
from ml.features import FEATURE_SET, FEATURES, FOLD_VERSION
from ml.features.profiles import PROFILE_SET
from ml.schema import DIGEST_DIGITS, SCORE_SCHEMA, Lane, Reason, Score, Transaction, Unreadable

Objects = npt.NDArray[np.object_]
Record = tuple[int, int, int, bytes | None]
"""(partition, offset, kafka_time in ms, key) of a message."""

CLOSING_BYTES: Final = 256
"""More than `closing` ever has."""

_BOOLEANS: Final = (b"false", b"true")
_AHEAD: Final = b',"profile_ahead":true'
_encode: Final = msgspec.json.Encoder().encode
_lines: Final = msgspec.json.Encoder().encode_lines


class _Place(msgspec.Struct, gc=False, omit_defaults=True):
    partition: int
    offset: int
    kafka_time: int
    late: bool
    key_mismatch: bool
    order_undefined: bool
    currency_unknown: bool = False


class _JudgedBy(msgspec.Struct):
    model_name: str
    model_version: int
    model_digest: str
    threshold_version: int


class _OfAnomaly(msgspec.Struct):
    reasons: list[Reason]
    named_features: dict[str, float]


class _Closing(msgspec.Struct, omit_defaults=True):
    feature_set: str
    fold_version: int
    lane: Lane
    micro_batch: int | None
    profile_version: int | msgspec.UnsetType
    scored_at: int
    currency_version: str = ""


def heads(
    transactions: Sequence[Transaction],
    records: Sequence[Record],
    late: npt.NDArray[np.bool_],
    order_undefined: npt.NDArray[np.bool_],
    features: npt.NDArray[np.float64],
    currency_unknown: "npt.NDArray[np.bool_] | None" = None,
) -> list[bytes]:
    """The beginning of each of n scores: the transaction, its place in the log, its features (n, len(FEATURES)).

    currency_unknown: (n,) whether the rates lack its currency; None where they lack none.
    """
    places = [
        _Place(partition, offset, kafka_time, delayed, key_mismatch(key, transaction.customer_id), undefined)
        for transaction, (partition, offset, kafka_time, key), delayed, undefined in zip(
            transactions, records, late.tolist(), order_undefined.tolist(), strict=True
        )
    ]
    if currency_unknown is not None:
        for row in np.flatnonzero(currency_unknown).tolist():
            places[row].currency_unknown = True
    # Encoded all at once, and cut where no JSON of ours has these bytes.
    parts = _lines(transactions).split(b"\n")[:-1], _lines(places).split(b"\n")[:-1], _rows(features)
    start = b'{"schema_version":%d,' % SCORE_SCHEMA
    return [
        b'%b%b,%b,"features":[%b]' % (start, t[1:-1], place[1:-1], row) for t, place, row in zip(*parts, strict=True)
    ]


def _rows(features: npt.NDArray[np.float64]) -> list[bytes]:
    """The numbers of each row (n, F), with commas between."""
    if not len(features):
        return []
    matrix = np.ascontiguousarray(features)
    return orjson.dumps(matrix, option=orjson.OPT_SERIALIZE_NUMPY)[2:-2].split(b"],[")


def _numbers(column: npt.NDArray[np.float64]) -> list[bytes]:
    return orjson.dumps(np.ascontiguousarray(column), option=orjson.OPT_SERIALIZE_NUMPY)[1:-1].split(b",")


def judgements(of: Judgements, by: Versions, says_profiles: bool = False) -> Objects:
    """(n,) bytes: what the decision adds to each of n scores; an anomaly has its reasons, and what the model saw, by name.

    says_profiles: the version of the profiles too, where `closing` does not say it. What a model on trial says goes beside it.
    """
    parts = np.empty(len(of.anomaly_score), object)
    judged_by = _JudgedBy(by.name, by.model, by.model_digest[:DIGEST_DIGITS], by.thresholds)
    end = b"," + _encode(judged_by)[1:-1]
    end += b',"profile_version":%d' % by.profiles if says_profiles else b""
    if len(parts):
        parts[:] = [
            b',"anomaly_score":%b,"is_anomaly":%b,"threshold":%b%b' % (score, _BOOLEANS[anomaly], threshold, end)
            for score, anomaly, threshold in zip(
                _numbers(of.anomaly_score), of.is_anomaly.tolist(), _numbers(of.threshold), strict=True
            )
        ]
    if of.profile is not None:
        parts += _profiles(of.profile)
    if of.beside is not None:
        parts[of.beside.rows] += _of_trial(of.beside)
    anomalies = np.flatnonzero(of.is_anomaly).tolist()
    for k, reasons, seen in zip(anomalies, of.reasons, of.seen.tolist(), strict=True):
        named = dict(zip(of.features, seen, strict=True))
        parts[k] += b"," + _encode(_OfAnomaly(reasons, named))[1:-1]
    return parts


def _profiles(of: LookedUp) -> Objects:
    parts = np.empty(len(of.values), object)
    if len(parts):
        pattern, marks = b',"profile_features":[%b],"profile_set":"' + PROFILE_SET.encode() + b'"%b', (b"", _AHEAD)
        parts[:] = [
            pattern % (row, marks[ahead]) for row, ahead in zip(_rows(of.values), of.ahead.tolist(), strict=True)
        ]
    return parts


def _of_trial(of: Beside) -> Objects:
    """(m,) bytes: `ml.schema.Challenge`, under the name of its role."""
    parts = np.empty(len(of.rows), object)
    if len(parts):
        by = of.trial.by
        judged_by = _encode(_JudgedBy(by.name, by.model, by.model_digest[:DIGEST_DIGITS], by.thresholds))[:-1]
        begin = b',"%b":%b' % (of.trial.role.encode(), judged_by)
        parts[:] = [
            b'%b,"anomaly_score":%b,"is_anomaly":%b,"threshold":%b}' % (begin, score, _BOOLEANS[anomaly], threshold)
            for score, anomaly, threshold in zip(
                _numbers(of.anomaly_score), of.is_anomaly.tolist(), _numbers(of.threshold), strict=True
            )
        ]
    return parts


def closing(
    lane: Lane,
    micro_batch: int | None,
    scored_at: int,
    profile_version: int | None = 0,
    currency_version: str = "",
) -> bytes:
    """The end of a score: what all records of a micro-batch, or of one call, share. scored_at: ms since the epoch.

    profile_version: None where they do not share it. currency_version: of the rates; "" where amounts were folded as they
    were paid.
    """
    version = msgspec.UNSET if profile_version is None else profile_version
    end = _Closing(FEATURE_SET, FOLD_VERSION, lane, micro_batch, version, scored_at, currency_version)
    return b"," + _encode(end)[1:]


class _Version(msgspec.Struct):
    schema_version: int = 1


_decode: Final = msgspec.json.Decoder(Score).decode
_decode_old: Final = msgspec.json.Decoder(OldScore).decode
_version_of: Final = msgspec.json.Decoder(_Version).decode


def read_own(value: bytes) -> Score:
    """A score that this process has just written, which needs no look at its version."""
    return _decode(value)


def read(value: bytes | None) -> Score:
    """A score of this release or of an earlier one, in today's form. Raises `Unreadable`, and nothing else."""
    if value is None:
        raise Unreadable("no value")
    try:
        version = _version_of(value).schema_version
        if version == SCORE_SCHEMA:
            return _decode(value)
        if version == 1:
            return _decode_old(value).as_score()
    except Exception as error:  # noqa: BLE001  # bytes of others: too deep (RecursionError), no text, too large, …
        raise Unreadable((str(error) or type(error).__name__)[:200]) from None
    raise Unreadable(f"schema_version {version} is of another release; this one reads 1 and {SCORE_SCHEMA}")


def named(score: Score) -> dict[str, float]:
    """A score's features by name. Raises `Unreadable` where its feature set is not one that is computed here."""
    if score.feature_set != FEATURE_SET or len(score.features) != len(FEATURES):
        raise Unreadable(f"the feature set {score.feature_set!r} is not {FEATURE_SET!r}, which is known here")
    return dict(zip(FEATURES, score.features, strict=True))
