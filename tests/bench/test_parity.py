"""The comparison of both lanes with one fold along the log finds what differs, to the last bit."""

from typing import Any

import msgspec
import numpy as np
import pytest

from bench.parity import compare_answers, compare_scores
from ml.features import FEATURES
from tests.serving.test_policy import score

VALUE = 0.1
NEXT = float(np.nextafter(VALUE, 1.0))
FEATURES_OF = [VALUE] * len(FEATURES)


def scored(offset: int = 0, **fields: Any) -> bytes:
    return msgspec.json.encode(score(offset=offset, **{"features": FEATURES_OF, "anomaly_score": VALUE, **fields}))


def answer(**fields: Any) -> dict[str, Any]:
    plain: dict[str, Any] = msgspec.json.decode(scored())
    return plain | fields


FOLD = {(0, 0): scored(0), (0, 1): scored(1)}


def test_what_is_the_same_does_not_differ() -> None:
    found = compare_scores(FOLD, [scored(0), scored(1)])
    assert (found.places, found.differing) == ({(0, 0), (0, 1)}, set())
    assert compare_answers(FOLD, [answer()]).differing == set()


@pytest.mark.parametrize(
    "other",
    [
        {"features": [NEXT, *FEATURES_OF[1:]]},
        {"features": [*FEATURES_OF[1:], -0.0]},
        {"anomaly_score": NEXT},
        {"threshold": 0.7},
        {"is_anomaly": True, "reasons": [], "named_features": {}},
        {"model_version": 2},
        {"threshold_version": 1},
        {"transaction_id": "u"},
    ],
)
def test_a_single_bit_differs(other: dict[str, Any]) -> None:
    assert compare_scores(FOLD, [scored(0, **other), scored(1)]).differing == {(0, 0)}


@pytest.mark.parametrize("other", [{"anomaly_score": NEXT}, {"threshold": 0.7}, {"is_anomaly": True}, {"offset": 9}])
def test_an_answer_differs_by_score_threshold_or_verdict(other: dict[str, Any]) -> None:
    found = compare_answers(FOLD, [answer(**other)])
    assert found.differing == found.places != set()


def test_what_is_there_twice_or_has_no_place_in_the_fold_differs() -> None:
    assert compare_scores(FOLD, [scored(0), scored(0)]).differing == {(0, 0)}
    assert compare_scores(FOLD, [scored(7)]).differing == {(0, 7)}


def test_an_answer_without_a_judgement_is_not_compared() -> None:
    refused = {"title": "busy", "status": 503, "detail": "too many"}
    assert compare_answers(FOLD, [answer(partition=None, anomaly_score=None), refused]).places == set()
