"""Accounts for the service: its early alerts and its answers against the reference, by the versions that they name."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec
import numpy as np

from ml.features import FEATURES
from ml.features.state_schema import OFFSET_BITS
from ml.model import Model
from ml.schema import DIGEST_DIGITS, Score
from torture.reference import Bools, Expected

_EXAMPLES: Final = 20
_score: Final = msgspec.json.Decoder(Score).decode


class EarlyFigures(msgspec.Struct):
    """Counts of early alerts and of answers, and of those that are not what the reference makes of the record.

    unordered: those, of both, of customers whose records have come by several partitions, between which the log has no
    order; they are not compared. sent_twice: early alerts.
    """

    alerts: int = 0
    alerts_differing: int = 0
    answers: int = 0
    answers_differing: int = 0
    unordered: int = 0
    unknown: int = 0
    sent_twice: int = 0
    examples: list[dict[str, Any]] = []

    @property
    def right(self) -> bool:
        """Whether nothing differs, and nothing is of a record that is not in the log."""
        return not (self.alerts_differing or self.answers_differing or self.unknown)


class EarlyAccount:
    """Compares bit for bit: of an early alert features and judgement, of an answer the judgement.

    The reference's features are judged again by the model that an alert or an answer names, since the service takes up a
    promotion at another place in the log than the job. tables: thresholds by the version of their table, for every segment;
    a version that is not among them is the model's own threshold.
    """

    def __init__(
        self, expected: Expected, model: Callable[[int], Model], tables: Mapping[int, float] | None = None
    ) -> None:
        self._expected = expected
        self._model = model
        self._tables = tables or {}
        self._models: dict[int, Model] = {}
        self._apart = apart(expected)
        self._seen: set[int] = set()
        self.figures = EarlyFigures()

    def take_alerts(self, values: Iterable[bytes]) -> None:
        """Records of `alerts.early`."""
        for value in values:
            score = _score(value)
            row = self._row(score.partition, score.offset)
            if row is None:
                continue
            self.figures.alerts += 1
            self.figures.sent_twice += row in self._seen
            self._seen.add(row)
            wanted = self._judged(row, score.model_version, score.threshold_version)
            said = {name: getattr(score, name) for name in wanted}
            said["features"] = np.array(score.features, np.float64).tobytes()
            if said != wanted or not score.is_anomaly or self._expected.dead[row]:
                self.figures.alerts_differing += 1
                self._example("early alert", row, said, wanted)

    def take_answers(self, answers: Iterable[Mapping[str, Any]]) -> None:
        """What the service answered with a judgement."""
        for answer in answers:
            row = self._row(answer["partition"], answer["offset"])
            if row is None:
                continue
            self.figures.answers += 1
            wanted = self._judged(row, answer["model_version"], answer.get("threshold_version", 0))
            wanted = {name: wanted[name] for name in ("anomaly_score", "threshold", "is_anomaly")}
            said = {name: answer[name] for name in wanted}
            if said != wanted or self._expected.dead[row]:
                self.figures.answers_differing += 1
                self._example("answer", row, said, wanted)

    def _row(self, partition: int, offset: int) -> int | None:
        """The record's row; None where it is not compared, which is counted."""
        row = int(self._expected.rows(np.array([partition]), np.array([offset]))[0])
        if row < 0:
            self.figures.unknown += 1
            self._example("of no record", row, {"place": f"{partition}/{offset}"}, {})
            return None
        if self._apart[row]:
            self.figures.unordered += 1
            return None
        return row

    def _judged(self, row: int, version: int, table: int) -> dict[str, Any]:
        expected = self._expected
        model = self._models.get(version)
        if model is None:
            model = self._models[version] = self._model(version)
        score = float(model.anomaly_score(expected.features[row : row + 1])[0])
        threshold = self._tables.get(table, model.threshold)
        return {
            "features": expected.features[row].tobytes(),
            "anomaly_score": score,
            "threshold": threshold,
            "is_anomaly": score > threshold,
            "kafka_time": int(expected.kafka_time[row]),
            "late": bool(expected.late[row]),
            "order_undefined": bool(expected.order_undefined[row]),
            "model_digest": model.digest[:DIGEST_DIGITS],
        }

    def _example(self, what: str, row: int, said: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
        if len(self.figures.examples) < _EXAMPLES:
            place = "{}/{}".format(*self._expected.place(row)) if row >= 0 else "none"
            unequal = [name for name in wanted if said.get(name) != wanted[name]]
            pairs = {name: f"{_shown(said.get(name))}, not {_shown(wanted[name])}" for name in unequal}
            self.figures.examples.append({"what": what, "record": place, **pairs, **(dict(said) if row < 0 else {})})


def apart(expected: Expected) -> Bools:
    """(n,) whether a record's customer has records in several partitions; of dead letters, which have none, False."""
    known = expected.customer != 0
    partitions = (expected.position[known] >> OFFSET_BITS).astype(np.uint64)
    pairs = np.unique(np.stack([expected.customer[known], partitions], 1), axis=0)
    customers, counts = np.unique(pairs[:, 0], return_counts=True)
    return np.asarray(known & np.isin(expected.customer, customers[counts > 1]), np.bool_)


def _shown(value: Any) -> str:
    if isinstance(value, bytes):
        return str(dict(zip(FEATURES, np.frombuffer(value, np.float64).tolist(), strict=True)))[:400]
    return str(value)


def lines(content: bytes) -> Sequence[dict[str, Any]]:
    """Answers as the caller kept them; the last line may be cut off."""
    found = []
    for line in content.splitlines():
        try:
            found.append(msgspec.json.decode(line))
        except msgspec.DecodeError:
            break
    return found
