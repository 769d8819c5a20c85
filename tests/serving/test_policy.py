"""What a policy says of a payment, and what a policy file may hold."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ml.features import FEATURES
from ml.schema import Score
from serving.answers import Decided
from serving.policy import Policy, PolicyError, PolicyFile, Thresholds
from serving.thresholds import thresholds_for
from tests.detection import recorded_log
from tests.detection.scores import FORM

NOW = datetime(2026, 5, 28, 12, tzinfo=UTC)


def score(**fields: Any) -> Score:
    return Score(
        **{
            **FORM,
            "transaction_id": "t",
            "event_time": NOW,
            "customer_id": "ann",
            "amount": 100.0,
            "partition": 0,
            "offset": 0,
            "kafka_time": 0,
            "late": False,
            "key_mismatch": False,
            "micro_batch": None,
            "features": [0.0] * len(FEATURES),
            "anomaly_score": 0.5,
            "threshold": 0.6,
            "is_anomaly": False,
            "model_name": "m",
            "model_version": 1,
            "scored_at": 0,
            **fields,
        }
    )


def policy(text: str, tmp_path: Path) -> Policy:
    path = tmp_path / "policy.yaml"
    path.write_text(text)
    return Policy.read(path)


def decide(policy: Policy, thresholds: Thresholds = Thresholds(), **fields: Any) -> Decided:  # noqa: B008  # it is frozen
    return policy.decide(score(**fields), thresholds, NOW)


def test_without_a_file_anomalies_are_reviewed_and_nothing_is_declined() -> None:
    plain = Policy(PolicyFile())
    assert decide(plain).decision == "approve"
    assert decide(plain, anomaly_score=0.99, is_anomaly=True) == Decided("review", "model")


def test_above_its_thresholds_a_payment_is_reviewed_and_then_declined() -> None:
    found = [
        decide(Policy(PolicyFile()), Thresholds(0.7, 0.9), anomaly_score=at).decision for at in (0.7, 0.71, 0.9, 0.91)
    ]
    assert found == ["approve", "review", "review", "decline"]


def test_a_list_comes_before_rules_and_scores_until_its_time_is_over(tmp_path: Path) -> None:
    listed = policy(
        """
        lists:
          - {field: merchant_id, values: [m1], then: never, reason: reported by the scheme, until: 2026-05-28T12:00:01Z}
          - {field: customer_id, values: [ann], then: always, reason: a director}
        rules:
          - {name: large, when: amount > 50, then: review, reason: large}
        """,
        tmp_path,
    )
    assert decide(listed, merchant_id="m1") == Decided("decline", "list of merchant_id", "reported by the scheme")
    assert decide(listed, merchant_id="m2").decision == "approve"
    assert decide(listed, customer_id="bob").decided_by == "rule large"
    later = listed.decide(score(merchant_id="m1"), Thresholds(), NOW + timedelta(seconds=1))
    assert later.decided_by == "list of customer_id"


def test_of_the_rules_that_match_the_strictest_decides_and_a_shadow_rule_only_says_so(tmp_path: Path) -> None:
    ruled = policy(
        """
        rules:
          - {name: far, when: distance_km > 1000 and not late, then: review, reason: far from home}
          - {name: new device abroad, when: new_device == 1 and country != "NL", then: decline, reason: new device abroad}
          - {name: trial, when: amount >= 100, then: decline, reason: a trial, shadow: true}
        """,
        tmp_path,
    )
    features = [0.0] * len(FEATURES)
    features[FEATURES.index("distance_km")] = 1500.0
    assert decide(ruled, features=features) == Decided("review", "rule far", "far from home", shadow_rules=("trial",))
    features[FEATURES.index("new_device")] = 1.0
    found = decide(ruled, features=features, country="BE", amount=99.0)
    assert found == Decided("decline", "rule new device abroad", "new device abroad")


@pytest.mark.parametrize(
    "when", ["latitude > 5", 'merchant_id =~ "m.*"', 'merchant_category == "x"', "longitude + latitude < 3"]
)
def test_where_a_field_is_null_a_rule_that_compares_it_does_not_match(when: str, tmp_path: Path) -> None:
    one = policy(f"rules: [{{name: a, when: '{when}', then: decline, reason: b}}]", tmp_path)
    assert decide(one).decision == "approve"


def test_in_shadow_mode_all_is_approved_and_what_would_have_been_said_is_kept(tmp_path: Path) -> None:
    shadow = policy("{shadow: true}", tmp_path)
    found = decide(shadow, Thresholds(0.1, 0.2))
    assert (found.decision, found.would_be, found.decided_by) == ("approve", "decline", "shadow")
    assert decide(shadow, Thresholds(0.9, 0.95)) == Decided("approve", "model")


def test_a_share_of_would_be_declines_passes_at_random_and_is_marked() -> None:
    released = Policy(PolicyFile(released=0.01))
    found = [decide(released, Thresholds(0.1, 0.2), transaction_id=f"t{number}") for number in range(20_000)]
    assert found == [decide(released, Thresholds(0.1, 0.2), transaction_id=f"t{number}") for number in range(20_000)]
    passed = [each for each in found if each.decision == "approve"]
    assert 140 <= len(passed) <= 260
    assert all(each.released and each.would_be == "decline" for each in passed)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("review: 2", "review"),
        ("{reveiw: 0.1}", "unknown field `reveiw`"),
        (
            "rules: [{name: a, when: amuont > 3, then: review, reason: b}]",
            "the rule a speaks of amuont, but a rule may speak of",
        ),
        ("rules: [{name: a, when: 'amount >', then: review, reason: b}]", "condition of the rule a can't be used"),
        ("rules: [{name: a, when: 'amount > \"x\"', then: review, reason: b}]", "data type mismatch"),
        ("lists: [{field: amount, values: ['1'], then: never, reason: b}]", "Invalid enum value 'amount'"),
        ("[", "can't be used"),
        ("released: 0.5", "released"),
    ],
)
def test_what_is_wrong_in_a_file_is_named(text: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match=words.replace("[", r"\[")):
        policy(text, tmp_path)


def test_a_policy_of_every_kind_of_decision_survives_json() -> None:
    decided = decide(Policy(PolicyFile()))
    assert msgspec.json.decode(msgspec.json.encode(decided), type=Decided) == decided


def test_declines_may_begin_where_training_says(tmp_path: Path) -> None:
    file = policy("decline: training", tmp_path).file
    model = replace(recorded_log.model(), decline_threshold=0.87)
    assert thresholds_for(file, model) == Thresholds(None, 0.87)
    with pytest.raises(PolicyError, match="has none: it was trained without labels"):
        thresholds_for(file, replace(model, decline_threshold=None))


def test_a_word_that_is_no_share_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match="decline"):
        policy("decline: often", tmp_path)


@pytest.mark.parametrize(
    "text", ["until: 2026-02-30", "review: !!timestamp x", "review: 0b_", "review: !!bool x", "review: !!int ''"]
)
def test_a_value_that_no_yaml_has_is_said_like_any_other_mistake(text: str, tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match=r"the policy .* can't be used: \S"):
        policy(text, tmp_path)


@pytest.mark.parametrize("when", ["inf - inf > 1", "nan // 1 > 1", "(nan).ceiling > 1"])
def test_a_rule_that_computes_what_has_no_value_is_refused(when: str, tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match="the condition of the rule far can't be used"):
        policy(f"rules: [{{name: far, when: '{when}', then: review, reason: x}}]", tmp_path)


def test_a_rule_does_not_match_where_its_day_is_outside_all_years(tmp_path: Path) -> None:
    when = '$parse_datetime("2020-01-01") > event_time - $parse_timedelta("P2D")'
    rule = {"name": "old", "when": when, "then": "review", "reason": "x"}
    found = policy(msgspec.yaml.encode({"rules": [rule]}).decode(), tmp_path)
    verdicts = [decide(found, event_time=datetime(year, 1, 1, tzinfo=UTC)).decision for year in (1, 2, 2026)]
    assert verdicts == ["approve", "review", "approve"]
