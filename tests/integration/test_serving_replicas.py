"""Two replicas of the same partitions never contradict each other, whenever each takes up a new model or a new policy."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from ml.registry.model_store import ModelStore
from settings import Settings
from tests.integration.service import Response, Service
from tests.integration.test_serving import payments

SAME = "partition", "offset", "decision", "decided_by", "anomaly_score", "threshold", "is_anomaly", "model_version"
RULE = "rules: [{{name: large, when: amount > {amount}, then: decline, reason: large}}]\n"


def agree(first: dict[str, Any], again: Response) -> bool:
    """Whether a payment that is asked about again, elsewhere, has the first answer; fails where it has another one."""
    if again.status == 409:
        assert again.body["title"] == "duplicate"
        assert (again.body["partition"], again.body["offset"]) == (first["partition"], first["offset"])
        return False
    assert again.status == 200, again
    assert again.body["repeated"]
    assert [again.body[name] for name in SAME] == [first[name] for name in SAME]
    return True


def test_across_promotions_and_policies_another_replica_gives_the_first_answer_or_none(
    settings: Settings, registry: ModelStore, tmp_path: Path
) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text(RULE.format(amount=100))
    flags = "--serve-policy", str(policy)
    found, changes = [], {60: 2, 180: 1}
    with (
        Service(settings, tmp_path / "one", *flags).wait_until_ready() as one,
        Service(settings, tmp_path / "two", *flags).wait_until_ready() as two,
    ):
        asked = [one, two]
        for number, payment in enumerate(payments(300)):
            if number in changes:
                registry.promote(changes[number])
            if number == 120:
                policy.write_text(RULE.format(amount=50))
            first = asked[number % 2].post("/transactions", payment).body
            found.append((first, agree(first, asked[1 - number % 2].post("/transactions", payment))))
    answers = [first for first, _ in found]
    assert {answer["model_version"] for answer in answers} == {1, 2}
    assert {answer["decided_by"] for answer in answers} == {"model", "rule large"}
    agreed = sum(same for _, same in found)
    assert agreed > 0.8 * len(found), f"{agreed} of {len(found)}: only around a change may a replica not know"


@pytest.mark.parametrize("behind", ["model", "policy"])
def test_a_replica_that_does_not_know_what_judged_says_that_there_was_a_first(
    behind: str, settings: Settings, registry: ModelStore, tmp_path: Path
) -> None:
    files = [tmp_path / "policy.yaml", tmp_path / "other.yaml"]
    for file, amount in zip(files, (100, 50 if behind == "policy" else 100), strict=True):
        file.write_text(RULE.format(amount=amount))
    other = tmp_path / "other.db"
    shutil.copy(tmp_path / "mlflow.db", other)
    if behind == "model":
        registry.promote(2)
    two_sees = settings.model_copy(update={"mlflow_tracking_uri": f"sqlite:///{other}"})
    with (
        Service(settings, tmp_path / "one", "--serve-policy", str(files[0])).wait_until_ready() as one,
        Service(two_sees, tmp_path / "two", "--serve-policy", str(files[1])).wait_until_ready() as two,
    ):
        for asked, asked_again in ((one, two), (two, one)):
            for payment in payments(10, seed=asked.port):
                first = asked.post("/transactions", payment).body
                assert not agree(first, asked_again.post("/transactions", payment))
                assert agree(first, asked.post("/transactions", payment))
