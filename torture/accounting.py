"""Accounts for every record: what came of it is compared with the reference, bit for bit, and counted."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np

from ml.features import FEATURES
from ml.schema import SchemaVersion, Transaction
from torture.figures import Figures
from torture.points import Points
from torture.reference import Bools, Expected, Integers, Log, fields_hash

EXAMPLES: Final = 20


class Found(msgspec.Struct):
    """The part of a score that a judgement is compared by; see `ml.schema.Score`."""

    partition: int
    offset: int
    kafka_time: int
    late: bool
    key_mismatch: bool
    micro_batch: int
    features: list[float] | dict[str, float]
    anomaly_score: float
    threshold: float
    is_anomaly: bool
    model_version: int
    order_undefined: bool = False
    model_digest: str = ""
    fold_version: int = 1
    schema_version: SchemaVersion = 1

    @property
    def row(self) -> list[float]:
        """The features in the order of FEATURES; up to version 1 of a score's form they have names. Raises KeyError."""
        return [self.features[name] for name in FEATURES] if isinstance(self.features, dict) else self.features


class Letter(NamedTuple):
    """A dead letter as it is on its topic."""

    key: bytes | None
    value: bytes | None
    headers: Mapping[str, bytes]


_found: Final = msgspec.json.Decoder(Found).decode
_transaction: Final = msgspec.json.Decoder(Transaction).decode


class Account:
    """Takes in what was written, in any order and in pieces, and adds it up against the reference."""

    def __init__(self, log: Log, expected: Expected) -> None:
        n = len(log.offset)
        self._log, self._expected = log, expected
        self._scores, self._alerts, self._letters = (np.zeros(n, np.int64) for _ in range(3))
        self._points = np.zeros(n, np.int64)
        self._differs, self._point_differs = np.zeros(n, np.bool_), np.zeros(n, np.bool_)
        self._unknown = self._points_beyond = self._truncated = 0
        self._examples: list[dict[str, Any]] = []

    def take_scores(self, values: Sequence[bytes], alerts: bool = False) -> None:
        """Records of `scores`, or of `alerts`."""
        found = [one for value in values if (one := self._decoded(value)) is not None]
        if not found:
            return
        columns = {name: np.array([getattr(score, name) for score, _ in found]) for name in _COMPARED}
        columns["features"] = np.array([score.row for score, _ in found], np.float64)
        columns["fields"] = np.array([fields for _, fields in found], np.uint64)
        at = self._expected.rows(
            *(np.array([getattr(s, n) for s, _ in found], np.int64) for n in ("partition", "offset"))
        )
        for k in np.flatnonzero(at < 0).tolist():
            self._is_unknown("a score of a record that is not in the log", found[k][0])
        known = np.flatnonzero(at >= 0)
        rows = at[known]
        np.add.at(self._alerts if alerts else self._scores, rows, 1)
        for name, column in columns.items():
            unequal = _unequal(column[known], getattr(self._expected, name)[rows])
            for k in np.flatnonzero(unequal & ~self._expected.dead[rows]).tolist():
                wanted = getattr(self._expected, name)[rows[k]]
                self._is_different(int(rows[k]), name, column[known[k]], wanted)
        wrong = self._expected.dead[rows] | (~self._expected.is_anomaly[rows] & alerts)
        for row in rows[wrong].tolist():
            reason = self._expected.reasons.get(row, "not an anomaly")
            self._is_different(row, "alert" if alerts else "score", "there is one", reason)

    def take_letters(self, letters: Sequence[Letter]) -> None:
        """Records of the dead letters' topic."""
        for letter in letters:
            try:
                place = (np.array([int(letter.headers[name])]) for name in ("partition", "offset"))
                row = int(self._expected.rows(*place)[0])
            except (KeyError, ValueError):
                row = -1
            if row < 0:
                self._is_unknown("a dead letter of a record that is not in the log", dict(letter.headers))
                continue
            self._letters[row] += 1
            self._compare_letter(row, letter)

    def take_points(self, points: Points) -> None:
        """Points of the scores, as InfluxDB has them; each distinct one comes once."""
        at = self._expected.rows(points.partition, points.offset)
        stray = (at < 0) | self._expected.dead[at] | (self._expected.kafka_time[at] != points.kafka_time)
        self._points_beyond += int(stray.sum())
        for k in np.flatnonzero(stray)[: EXAMPLES - len(self._examples)].tolist():
            self._example(
                point=f"{points.partition[k]}/{points.offset[k]}", time=int(points.kafka_time[k]), wanted="none"
            )
        known = np.flatnonzero(~stray)
        rows = at[known]
        np.add.at(self._points, rows, 1)
        for name in ("anomaly_score", "threshold", "is_anomaly"):
            unequal = _unequal(getattr(points, name)[known], getattr(self._expected, name)[rows])
            self._point_differs[rows[unequal]] = True
            for k in np.flatnonzero(unequal)[: EXAMPLES - len(self._examples)].tolist():
                place = "{}/{}".format(*self._expected.place(int(rows[k])))
                self._example(point=place, field=name, wanted=str(getattr(self._expected, name)[rows[k]]))

    def figures(self) -> Figures:
        """All that was found by now."""
        reference, scored = self._expected, self._scores > 0
        valid, anomaly = ~reference.dead, ~reference.dead & reference.is_anomaly
        lost = ~scored & (self._letters == 0)
        for row in np.flatnonzero(lost)[:EXAMPLES].tolist():
            self._example(
                record="{}/{}".format(*reference.place(row)), wanted=reference.reasons.get(row, "a score"), was="lost"
            )
        undefined = valid & reference.order_undefined
        return Figures(
            records=len(reference.position),
            scored=int(scored.sum()),
            dead_letters=int((self._letters > 0).sum()),
            alerts=int((self._alerts > 0).sum()),
            truncated=self._truncated,
            order_undefined=int(undefined.sum()),
            lost=int(lost.sum()),
            differing=int((self._differs & ~undefined).sum()),
            order_undefined_differing=int((self._differs & undefined).sum()),
            unknown=self._unknown,
            alerts_missing=int((anomaly & (self._alerts == 0)).sum()),
            points=int(self._points.sum()),
            points_missing=int((valid & (self._points == 0)).sum()),
            points_differing=int(self._point_differs.sum()),
            points_beyond=self._points_beyond + _repeats(self._points),
            scores_sent_twice=_repeats(self._scores),
            alerts_sent_twice=_repeats(self._alerts),
            dead_letters_sent_twice=_repeats(self._letters),
            examples=self._examples,
        )

    def _decoded(self, value: bytes) -> tuple[Found, int] | None:
        try:
            found = _found(value)
            if len(found.row) != len(FEATURES):
                raise KeyError(f"{len(found.row)} features")
            return found, fields_hash(_transaction(value))
        except (msgspec.DecodeError, UnicodeDecodeError, KeyError) as error:
            self._is_unknown(f"not a score: {error}", value[:300])
            return None

    def _compare_letter(self, row: int, letter: Letter) -> None:
        source = int(self._expected.source[row])
        key, value = self._log.keys[source], self._log.values[source]
        reason, wanted = letter.headers.get("reason", b"").decode(errors="replace"), self._expected.reasons.get(row)
        if not self._expected.dead[row]:
            self._is_different(row, "dead letter", reason, "a score")
        elif wanted is not None and not reason.startswith(wanted):
            self._is_different(row, "reason", reason, wanted)
        if letter.headers.get("truncated") == b"true":
            self._truncated += 1
            if not _truncated_rightly(letter, key, value):
                self._is_different(
                    row, "truncated dead letter", dict(letter.headers), "size and SHA-256 of the original"
                )
        elif (letter.key, letter.value) != (key, value):
            self._is_different(row, "dead letter's bytes", (letter.value or b"")[:80], (value or b"")[:80])

    def _is_different(self, row: int, what: str, was: Any, wanted: Any) -> None:
        self._differs[row] = True
        if len(self._examples) < EXAMPLES:
            place = "{}/{}".format(*self._expected.place(row))
            batch = int(self._expected.micro_batch[row])
            self._example(record=place, micro_batch=batch, field=what, was=str(was)[:300], wanted=str(wanted)[:300])

    def _is_unknown(self, what: str, was: Any) -> None:
        self._unknown += 1
        self._example(what=what, was=str(was)[:300])

    def _example(self, **facts: Any) -> None:
        if len(self._examples) < 2 * EXAMPLES:
            self._examples.append(facts)


_COMPARED: Final = (
    *("kafka_time", "late", "key_mismatch", "micro_batch", "anomaly_score", "threshold", "is_anomaly"),
    *("model_version", "model_digest", "fold_version", "order_undefined"),
)


def _unequal(one: np.ndarray, other: np.ndarray) -> Bools:
    """(n,) where two columns (n, …) differ in any bit."""
    if other.dtype == np.float64:
        one, other = np.asarray(one, np.float64).view(np.int64), other.view(np.int64)
    unequal: Bools = (one != other).reshape(len(one), -1)
    return np.asarray(unequal.any(axis=1), np.bool_)


def _repeats(counts: Integers) -> int:
    return int(np.maximum(counts - 1, 0).sum())


def _truncated_rightly(letter: Letter, key: bytes | None, value: bytes | None) -> bool:
    key, value = key or b"", value or b""
    headers = {
        "original_key_bytes": str(len(key)),
        "original_value_bytes": str(len(value)),
        "sha256": hashlib.sha256(value).hexdigest(),
    }
    whole = all(letter.headers.get(name, b"").decode() == text for name, text in headers.items())
    return whole and key.startswith(letter.key or b"") and value.startswith(letter.value or b"")
