"""By what a record is judged is said once, on the record, and each replica keeps to it or says that it can't."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from detection.decision import Decision
from detection.durable_folder import DurableFolder
from detection.errors import VersionUnavailable
from detection.ranges import Versions
from ml.registry.model_store import RegistryUnavailable
from serving.answers import Decided
from serving.choosing import By, Chooser, Limits
from serving.judge import Judge, ServiceLedger
from serving.policies import Policies
from serving.records import Record
from serving.stamp import STAMP_HEADER, Stamp, digest_of
from tests.detection import recorded_log
from tests.serving.test_policy import score

OLD, NEW, NEVER = (Versions(number, model_digest=f"{number}" * 8) for number in (1, 2, 3))
POLICY = b"p" * 8
NOW = 1_800_000_000_000


class Replica:
    """A judge whose newest versions a test sets; `missing` ones can't be had."""

    def __init__(self, folder: Path) -> None:
        self.newest, self.missing = OLD, {NEVER}
        self.error: Exception = VersionUnavailable("it is nowhere")
        ledger = ServiceLedger(DurableFolder.on_disk(folder))
        self.judge = Judge(ledger, lambda: self.newest, self._decision)

    def _decision(self, versions: Versions) -> Decision:
        if versions in self.missing:
            raise self.error
        return Decision.from_table(versions, recorded_log.model(), None)


def record(offset: int, stamp: Stamp | None, request: bytes | None = b"r" * 16) -> Record:
    return Record(0, offset, NOW, b"k", b"{}", request, None, stamp)


def by(versions: Versions) -> Stamp:
    return Stamp(digest_of(versions), POLICY)


def test_a_stamp_is_read_as_it_was_written_and_anything_else_is_none() -> None:
    assert Stamp.of([("x", b"y"), (STAMP_HEADER, by(OLD).header)]) == by(OLD)
    for value in (None, b"", b"short", b"x" * 17):
        assert Stamp.of([(STAMP_HEADER, value)]) is None
    assert Stamp.of([]) is None


def test_a_policys_digest_is_the_same_in_each_process() -> None:
    code = (
        "from serving.policy import Listed, Policy, PolicyFile; "
        "listed = Listed('merchant_id', frozenset(f'm{n}' for n in range(50)), 'never', 'x'); "
        "print(Policy(PolicyFile(lists=(listed,))).digest.hex())"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(found) == 1


def test_the_versions_on_a_record_judge_it_also_after_newer_ones_were_taken_up(tmp_path: Path) -> None:
    replica = Replica(tmp_path)
    judge, chooser = replica.judge, Chooser(replica.judge, Limits(), {})
    assert judge.stamp(POLICY) == by(OLD)
    assert chooser.decision(chooser.way(record(5, by(OLD)), NOW)[1], {0: 5}).versions == OLD
    replica.newest = NEW
    assert judge.stamp(POLICY) == by(NEW)
    assert chooser.decision(chooser.way(record(6, None), NOW)[1], {0: 6}).versions == NEW
    how, chosen = chooser.way(record(7, by(OLD)), NOW)
    assert (how, chosen) == ("alerted", By(OLD, fresh=True, agreed=True))
    assert chooser.decision(chosen, {0: 7}).versions == OLD
    assert [epoch.versions for epoch in ServiceLedger(DurableFolder.on_disk(tmp_path)).epochs] == [OLD, NEW]


def test_versions_that_another_replica_has_taken_up_first_begin_here_when_they_are_there(tmp_path: Path) -> None:
    replica = Replica(tmp_path)
    chooser = Chooser(replica.judge, Limits(), {})
    chooser.decision(chooser.way(record(1, None), NOW)[1], {0: 1})
    early = chooser.way(record(2, by(NEW)), NOW)[1]
    assert (early.versions, early.agreed) == (None, False)
    assert chooser.decision(early, {0: 2}).versions == OLD
    replica.newest = NEW
    there = chooser.way(record(3, by(NEW)), NOW)[1]
    assert (there.versions, there.agreed) == (NEW, True)
    assert chooser.decision(there, {0: 3}).versions == NEW
    assert replica.judge.at(0, 3) == NEW
    assert replica.judge.at(0, 2) == OLD


def test_after_a_restart_a_record_is_judged_by_what_it_says_and_else_by_what_the_ledger_says(tmp_path: Path) -> None:
    first = Replica(tmp_path)
    for offset, newest in ((0, OLD), (10, NEW)):
        first.newest = newest
        first.judge.current({0: offset})
    again = Replica(tmp_path)
    again.newest = NEW
    chooser = Chooser(again.judge, Limits(), {0: 100})
    assert chooser.way(record(12, by(OLD)), NOW)[1].versions == OLD
    assert chooser.way(record(5, None), NOW)[1].versions == OLD
    assert chooser.way(record(12, None), NOW)[1].versions == NEW
    unknown = chooser.way(record(12, by(NEVER)), NOW)[1]
    assert (unknown.versions, unknown.agreed) == (NEW, False)


def test_nothing_that_a_stamp_names_is_loaded_but_what_judged_here_before(tmp_path: Path) -> None:
    replica = Replica(tmp_path)
    replica.judge.current({0: 0})
    assert replica.judge.stamped(digest_of(NEVER)) is None
    assert replica.judge.stamped(b"x" * 8) is None
    replica.newest = NEVER
    assert replica.judge.stamped(digest_of(NEVER)) is None
    assert replica.judge.stamp(POLICY) == by(OLD)


def test_a_stamp_of_versions_that_only_a_registry_that_is_unavailable_has_ends_nothing(tmp_path: Path) -> None:
    first = Replica(tmp_path)
    for offset, newest in ((0, OLD), (10, NEW)):
        first.newest = newest
        first.judge.current({0: offset})
    again = Replica(tmp_path)
    again.newest, again.missing, again.error = NEW, {OLD}, RegistryUnavailable("no connection")
    chooser = Chooser(again.judge, Limits(), {})
    chosen = chooser.way(record(20, by(OLD)), NOW)[1]
    assert (chosen.versions, chosen.agreed) == (None, False)
    assert chooser.decision(chosen, {0: 20}).versions == NEW
    again.newest = OLD
    assert chooser.decision(chooser.way(record(21, None), NOW)[1], {0: 21}).versions == NEW
    assert (again.judge.newest().versions, again.judge.stamp(POLICY)) == (NEW, by(NEW))


RULES = "rules:\n  - {{name: large, when: amount > {amount}, then: decline, reason: large}}\n"


def decided(policies: Policies, digest: bytes | None, **fields: Any) -> Decided | None:
    return policies.decide(score(**{"amount": 500.0, **fields}), digest)


def test_a_payment_is_decided_by_the_policy_that_its_record_was_written_under(tmp_path: Path) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text(RULES.format(amount=100))
    policies = Policies(path)
    before = policies.digest
    path.write_text(RULES.format(amount=1_000))
    policies._read_again()
    assert policies.digest != before
    of_before, of_now = decided(policies, before), decided(policies, None)
    assert of_before is not None
    assert of_now is not None
    assert (of_before.decision, of_now.decision) == ("decline", "approve")
    assert decided(policies, b"unknown!") is None


@pytest.mark.parametrize("kafka_time", [-1, 2**62, -(2**62)])
def test_a_record_of_any_time_is_decided(kafka_time: int) -> None:
    assert decided(Policies(None), None, kafka_time=kafka_time) is not None


def test_a_list_counts_as_of_when_the_record_was_written(tmp_path: Path) -> None:
    path = tmp_path / "policy.yaml"
    until = "2027-01-15T08:00:00Z"  # NOW
    path.write_text(f"lists:\n  - {{field: customer_id, values: [ann], then: never, reason: x, until: {until}}}\n")
    policies = Policies(path)
    verdicts = [decided(policies, None, kafka_time=NOW + late) for late in (-1, 0)]
    assert [each.decision for each in verdicts if each is not None] == ["decline", "approve"]


def test_the_header_is_sixteen_bytes() -> None:
    assert len(by(OLD).header) == 16
    assert digest_of(OLD) == digest_of(msgspec.structs.replace(OLD))
