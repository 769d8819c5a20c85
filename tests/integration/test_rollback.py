"""Better offline, worse live: rolled back by itself, while a thousand transactions a second flow through job and service."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Thread

import msgspec
import numpy as np
import pytest

from bench.loop.records import read_records
from bench.loop.scene import Scene, sender_of
from bench.loop.servers import Servers
from generator.history import write_history
from generator.labels import Reporting
from generator.runs import Run
from ml.dataset.history import History
from ml.features.currencies import default_rates
from ml.features.events import milliseconds
from ml.gate.gate import Data, gate
from ml.registry.model_store import ModelStore
from ml.training.policy import Policy, labels_for
from ml.training.train import train
from watch.doing import BY, Doer
from watch.steps import Entry, Step

OFFLINE = ("mule_transfers", "bust_out", "synthetic_identity")
LIVE = ("card_testing", "account_takeover", "impossible_travel")
PATIENCE_SECONDS = 480.0
POLICY = """\
every_seconds: 1
retrain: {after_alarm_days: null, age_days: null}
rollback: {for_days: 300, alert_times: 1000, latency_ms: 1000000}  # labels alone say that it is worse
"""

pytestmark = [pytest.mark.long, pytest.mark.timeout(1_500)]


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[Servers]:
    made = Servers(tmp_path, POLICY)
    yield made
    made.kill()


def until(condition: Callable[[], bool], servers: Servers) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        servers.check()
        if time.monotonic() > deadline:
            watcher = servers.programs["watcher"].output[-2_000:]
            pytest.fail(f"not within {PATIENCE_SECONDS:.0f} s; the watcher: {watcher}")
        time.sleep(0.5)


def test_a_model_that_is_better_offline_and_worse_live_is_rolled_back_by_itself_and_nothing_is_judged_twice(
    servers: Servers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = Scene(
        103,
        2_000,
        history_days=20,
        ordinary_days=3_650,
        rate=1_000.0,
        before=LIVE,
        reporting=Reporting(median_days=1.0),
    )
    write_history(servers.history, scene.origin, scene.origin.world())
    servers.start()
    servers.train()
    registry = ModelStore(servers.settings().mlflow_tracking_uri)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", registry.uri)

    others = msgspec.structs.replace(scene.origin, run=Run(only=OFFLINE, subtlety="low", fraud_share=0.012))
    write_history(tmp_path / "offline", others, others.world())
    offline = History.open(tmp_path / "offline", default_rates())
    policy = Policy("scoreline", "xgboost", budget=registry.load(1).budget)
    made = train(offline, policy, labels_for(policy, tmp_path / "offline"))
    registry.register(made.model, made.example, made.params, made.metrics)
    report = gate(registry, 2, Data(tmp_path / "offline", rates=default_rates()))
    registry.keep_report(2, msgspec.json.encode(report).decode())
    assert report.better, report

    servers.start_service()
    servers.start_job()
    sender = sender_of(scene, servers.history, servers.settings())
    sending = Thread(target=sender.run, name="sender", daemon=True)
    sending.start()
    try:
        scores = servers.folder / "lake" / "scores" / "_delta_log"
        until(
            scores.is_dir, servers
        )  # so that the first champion judged something, and the promotion has an event time
        newest = sender.report().last_event_time
        assert newest is not None
        promoted_by_the_watcher(servers, registry, milliseconds(newest))
        assert registry.champion() == 2
        servers.start_watcher()
        until(lambda: registry.champion() == 1, servers)
        after = sender.report().sent
        until(lambda: sender.report().sent > after + 5_000, servers)
    finally:
        sender.stop()
        sending.join()
    sent = sender.report().sent
    until(lambda: read_records(servers.settings()).lost == 0, servers)
    servers.stop_judging()

    last = [event for event in registry.events() if event.action == "rollback"]
    assert [event.by for event in last] == [BY]
    assert "of the known frauds it alone found" in last[0].why
    records = read_records(servers.settings())
    assert (records.sent, records.lost, records.judged_twice, records.dead) == (sent, 0, 0, 0)
    assert set(np.unique(records.version)) == {1, 2}
    steps = [(e.step.kind, e.step.role) for e in servers.watching.entries() if e.phase == "done"]
    assert steps.count(("rollback", "")) == 1
    assert ("challenge", "guard") in steps


def promoted_by_the_watcher(servers: Servers, registry: ModelStore, event_time: int) -> None:
    """As the watcher promotes: written down, done by the command, written down."""
    now, folder = int(time.time() * 1000), servers.watching
    step = Step("promote", "it passed the gate, and is better beyond chance", version=2, champion=1, by_hand=1)
    folder.append(Entry("000001", now, event_time, "done", Step("note", "watching begins", champion=1, by_hand=1)))
    folder.append(Entry("000002", now, event_time, "begun", step))
    outcome = Doer(registry).do(step)
    assert outcome.phase == "done", outcome
    folder.append(Entry("000002", now, event_time, "done", step, said=outcome.said))
