"""Two replicas of the same partitions never contradict each other, whenever each takes up a new model or a new policy."""

import shutil
import time
from pathlib import Path
from typing import Any

import pytest

from ml.registry.model_store import ModelStore
from settings import Settings
from tests.integration.service import Service
from tests.integration.test_serving import payments

SAME = "partition", "offset", "decision", "decided_by", "anomaly_score", "threshold", "is_anomaly", "model_version"
RULE = "rules: [{{name: {name}, when: amount > 50, then: decline, reason: large}}]\n"


def agree(first: dict[str, Any], other: Service, payment: dict[str, Any]) -> bool:
    """Whether a payment that is asked about again, elsewhere, has the first answer; fails where it has another one."""
    again = other.post("/transactions", payment)
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
    policy.write_text(RULE.format(name="large"))
    flags = "--serve-policy", str(policy)
    with (
        Service(settings, tmp_path / "one", *flags).wait_until_ready() as one,
        Service(settings, tmp_path / "two", *flags).wait_until_ready() as two,
    ):
        replicas, due = (one, two), iter(payments(60_000))

        def pay(n: int) -> None:
            """Of n payments, each asks the one and then the other, and has one answer twice."""
            for at, other, each in turns(n):
                assert agree(at.post("/transactions", each).body, other, each)

        def turns(n: int) -> list[tuple[Service, Service, dict[str, Any]]]:
            return [(replicas[k % 2], replicas[1 - k % 2], next(due)) for k in range(n)]

        def pay_until_both_judge_by(name: str, value: Any) -> None:
            """Around a change a replica may not know what judged; what it says is still the first answer or none."""
            changed, deadline = set(), time.monotonic() + 60
            while len(changed) < 2:
                assert time.monotonic() < deadline, f"{name} {value}: seen from {len(changed)} of 2 replicas"
                for at, other, each in turns(2):
                    first = at.post("/transactions", each).body
                    agree(first, other, each)
                    if first[name] == value:
                        changed.add(at.port)

        pay_until_both_judge_by("decided_by", "rule large")
        pay(60)
        registry.promote(2)
        pay_until_both_judge_by("model_version", 2)
        pay(60)
        policy.write_text(RULE.format(name="larger"))
        pay_until_both_judge_by("decided_by", "rule larger")
        pay(60)
        registry.promote(1)
        pay_until_both_judge_by("model_version", 1)
        pay(60)


@pytest.mark.parametrize("behind", ["model", "policy"])
def test_a_replica_that_does_not_know_what_judged_says_that_there_was_a_first(
    behind: str, settings: Settings, registry: ModelStore, tmp_path: Path
) -> None:
    files = [tmp_path / "policy.yaml", tmp_path / "other.yaml"]
    for file, name in zip(files, ("large", "larger" if behind == "policy" else "large"), strict=True):
        file.write_text(RULE.format(name=name))
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
                assert not agree(first, asked_again, payment)
                assert agree(first, asked, payment)
