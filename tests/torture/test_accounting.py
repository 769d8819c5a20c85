"""The accounting finds nothing in what is right, and each kind of mistake where there is one."""

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import pytest

from ml.features import FEATURES
from ml.model import Model
from tests.torture.outputs import a_log, a_model, letters_of, points_of, reference_of, scores_of
from torture.accounting import Account, Letter
from torture.figures import Figures
from torture.points import Points
from torture.reference import Expected, Log


@dataclass
class Written:
    """What a system wrote; a test changes it, and `figures` says what the accounting makes of it."""

    log: Log
    reference: Expected
    scores: list[dict[str, Any]]
    alerts: list[dict[str, Any]]
    letters: list[Letter]
    points: Points

    def figures(self) -> Figures:
        account = Account(self.log, self.reference)
        account.take_scores([msgspec.json.encode(score) for score in self.scores])
        account.take_scores([msgspec.json.encode(score) for score in self.alerts], alerts=True)
        account.take_letters(self.letters)
        account.take_points(self.points)
        return account.figures()

    def without_point(self, k: int) -> Points:
        return Points(*(np.delete(column, k) for column in self.points))


@pytest.fixture(scope="module")
def judge() -> Model:
    return a_model()


@pytest.fixture
def written(judge: Model) -> Written:
    log = a_log()
    reference = reference_of(log, judge)
    threshold = float(np.quantile(reference.anomaly_score[~reference.dead], 0.9))
    reference.threshold[:] = threshold
    reference.is_anomaly[:] = reference.anomaly_score > threshold
    scores = [score for score in scores_of(log, reference) if score]
    alerts = [score for score in scores if score["is_anomaly"]]
    return Written(log, reference, scores, alerts, letters_of(log, reference), points_of(reference))


def test_what_is_right_is_found_right(written: Written) -> None:
    figures = written.figures()
    assert figures.right
    assert not figures.examples
    assert (figures.records, figures.dead_letters) == (606, 5)
    assert figures.scored == figures.points == 601
    assert figures.alerts == len(written.alerts) > 30
    assert figures.scores_sent_twice == figures.alerts_sent_twice == figures.dead_letters_sent_twice == 0


def test_repeats_that_say_the_same_are_counted_and_no_mistake(written: Written) -> None:
    written.scores += written.scores[:7]
    written.alerts += written.alerts[:3]
    written.letters += written.letters[:2]
    figures = written.figures()
    assert figures.right
    assert (figures.scores_sent_twice, figures.alerts_sent_twice, figures.dead_letters_sent_twice) == (7, 3, 2)


def one_bit_more(value: float) -> float:
    return math.nextafter(value, math.inf)


def change_feature(written: Written) -> None:
    features, number = list(written.scores[300]["features"]), FEATURES.index("sum_1h")
    features[number] = one_bit_more(features[number])
    written.scores[300] = written.scores[300] | {"features": features}


def repeat_with_another_judgement(written: Written) -> None:
    written.scores.append(written.scores[9] | {"anomaly_score": one_bit_more(written.scores[9]["anomaly_score"])})


def score_a_dead_letter(written: Written) -> None:
    row = int(np.flatnonzero(written.reference.dead)[0])
    partition, offset = written.reference.place(row)
    written.scores.append(written.scores[0] | {"partition": partition, "offset": offset})


def set_a_score_aside(written: Written) -> None:
    score = written.scores.pop(17)
    place = {name: str(score[name]).encode() for name in ("partition", "offset")}
    source = written.reference.source[written.reference.rows(*(np.array([score[n]]) for n in place))[0]]
    whole = written.log.keys[source], written.log.values[source]
    written.letters.append(Letter(*whole, place | {"reason": b"a bug"}))


def give_another_reason(written: Written) -> None:
    letter = written.letters[0]
    written.letters[0] = letter._replace(headers=dict(letter.headers) | {"reason": b"something else"})


def damage_a_letter(written: Written) -> None:
    value = next(letter for letter in written.letters if letter.value == b"hello")
    written.letters[written.letters.index(value)] = value._replace(value=b"hallo")


def alert_of_what_is_normal(written: Written) -> None:
    written.alerts.append(next(score for score in written.scores if not score["is_anomaly"]))


def replaced(name: str, value: Any) -> Callable[[Written], None]:
    def change(written: Written) -> None:
        written.scores[41] = written.scores[41] | {name: value}

    return change


DIFFERING: dict[str, Callable[[Written], None]] = {
    "one bit of a feature": change_feature,
    "a repeat with another judgement": repeat_with_another_judgement,
    "a score of what is a dead letter": score_a_dead_letter,
    "a dead letter of what has a score": set_a_score_aside,
    "a byte of a dead letter": damage_a_letter,
    "a reason": give_another_reason,
    "an alert of what is normal": alert_of_what_is_normal,
    "another model": replaced("model_version", 2),
    "another digest of the model": replaced("model_digest", "0123456789abcdef"),
    "another meaning of the state": replaced("fold_version", 99),
    "another micro-batch": replaced("micro_batch", 7),
    "another amount": replaced("amount", 1.0),
    "another Kafka time": replaced("kafka_time", 1),
    "late or not": lambda written: replaced("late", not written.scores[41]["late"])(written),
    "order defined or not": replaced("order_undefined", True),
}


@pytest.mark.parametrize("name", DIFFERING)
def test_a_difference_is_counted(written: Written, name: str) -> None:
    DIFFERING[name](written)
    figures = written.figures()
    assert (figures.differing, figures.lost, figures.right) == (1, 0, False)
    assert len(figures.examples) >= 1


def test_what_differs_where_the_order_is_undefined_is_counted_apart(written: Written) -> None:
    written.reference.order_undefined[:] = True
    written.scores = [score | {"order_undefined": True} for score in written.scores]
    written.alerts = [score for score in written.scores if score["is_anomaly"]]
    change_feature(written)
    figures = written.figures()
    assert (figures.differing, figures.order_undefined_differing, figures.order_undefined) == (0, 1, 601)
    assert not figures.right


def test_what_is_missing_or_too_much_is_counted(written: Written) -> None:
    dropped = written.scores.pop(100)
    assert written.figures().lost == 1
    written.scores.append(dropped)
    assert written.figures().lost == 0
    letter = written.letters.pop()
    assert written.figures().lost == 1
    written.letters.append(letter)
    written.alerts.pop()
    assert written.figures().alerts_missing == 1
    written.scores.append(dropped | {"offset": 10**9})
    written.letters.append(letter._replace(headers=dict(letter.headers) | {"offset": b"x"}))
    assert written.figures().unknown == 2


def test_points_are_counted_one_by_one(written: Written) -> None:
    whole = written.points
    assert written.figures().points_missing == 0
    written.points = written.without_point(55)
    figures = written.figures()
    assert (figures.points_missing, figures.points_beyond, figures.points, figures.right) == (1, 0, 600, False)
    written.points = Points(*(np.append(column, column[-1:]) for column in whole))
    assert written.figures().points_beyond == 1
    written.points = whole._replace(kafka_time=np.where(np.arange(601) == 8, 5, whole.kafka_time))
    figures = written.figures()
    assert (figures.points_missing, figures.points_beyond) == (1, 1)
    written.points = whole._replace(threshold=np.where(np.arange(601) == 8, 0.25, whole.threshold))
    assert written.figures().points_differing == 1
    written.points = whole._replace(partition=np.where(np.arange(601) == 8, -1, whole.partition))
    assert written.figures().points_beyond == 1


def test_a_truncated_dead_letter_must_say_truly_what_it_was(written: Written) -> None:
    large = next(letter for letter in written.letters if len(letter.value or b"") > 2_000)
    told = {
        "truncated": b"true",
        "original_key_bytes": b"2",
        "original_value_bytes": str(len(large.value or b"")).encode(),
        "sha256": hashlib.sha256(large.value or b"").hexdigest().encode(),
    }
    cut = Letter(large.key, (large.value or b"")[:100], dict(large.headers) | told)
    at = written.letters.index(large)
    written.letters[at] = cut
    figures = written.figures()
    assert (figures.truncated, figures.right) == (1, True)
    for name, lie in {"sha256": b"00", "original_value_bytes": b"7", "original_key_bytes": b"1"}.items():
        written.letters[at] = cut._replace(headers=dict(cut.headers) | {name: lie})
        assert written.figures().differing == 1
    written.letters[at] = cut._replace(value=b"other")
    assert written.figures().differing == 1
