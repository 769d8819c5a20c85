"""The watcher beside a real job: what is worse live is taken back by itself; everything is judged once."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from ml.features.events import milliseconds
from ml.model import Model
from ml.registry.model_store import ModelStore, Note
from settings import Settings
from tests.integration.lake import lake_of
from tests.integration.traffic import START, messages, scores, send, traffic
from watch.doing import BY, Doer, Outcome, by_hand
from watch.journal import Folder
from watch.observing import Observer
from watch.policy import Rollback, WatchPolicy
from watch.state import Open
from watch.steps import Entry, Step, Wait
from watch.watcher import PolicyFile, Watcher

Detect = Callable[..., None]


class Idle:
    """A worker that is given nothing to do."""

    def poll(self, work: Open) -> Outcome | None:
        raise AssertionError(work)

    def stop(self) -> None:
        pass


def promoted_by_the_watcher(folder: Folder, registry: ModelStore, version: int) -> None:
    """As the watcher promotes: written down, done by the command, written down."""
    before = milliseconds(START) - 86_400_000
    note = Step("note", "watching begins", champion=1, by_hand=by_hand(registry))
    step = Step(
        "promote",
        "it passed the gate, and is better beyond chance",
        version=version,
        champion=1,
        by_hand=by_hand(registry),
    )
    folder.append(Entry("000001", before, before, "done", note))
    folder.append(Entry("000002", before, before, "begun", step))
    outcome = Doer(registry).do(step)
    assert outcome.phase == "done", outcome
    folder.append(Entry("000002", before, before, "done", step, said=outcome.said))


def test_a_model_that_is_worse_live_is_rolled_back_by_itself_and_each_transaction_is_judged_once(
    settings: Settings,
    registry: ModelStore,
    models: list[Model],
    detect_all: Detect,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", registry.uri)
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", settings.kafka_bootstrap_servers)
    harmful = replace(models[1], threshold=models[1].threshold / 2)  # in the lake's traffic it alerts far too much
    registry.register(harmful, models[1].usual.T.copy())
    folder = Folder(tmp_path / "watch")
    promoted_by_the_watcher(folder, registry, 3)
    whole = messages(traffic(3_000, customers=200, seed=81))
    send(settings, whole[:2_000])
    detect_all(settings)

    place = lake_of(settings, tmp_path / "lake")
    policy = WatchPolicy(rollback=Rollback(least_records=1_000))
    file = PolicyFile(None, policy)
    file.read = lambda: policy  # type: ignore[method-assign]
    watcher = Watcher(folder, file, Observer(registry, place, settings, folder), registry, Idle())
    decision = watcher.look()
    assert isinstance(decision, Step)
    assert decision.kind == "rollback", decision
    assert "it alerted" in decision.why
    assert registry.champion() == 1
    assert [(event.action, event.by) for event in registry.events()][-1] == ("rollback", BY)
    again = watcher.look()
    assert isinstance(again, Wait)
    assert "cooldown" in again.why

    send(settings, whole[2_000:])
    detect_all(settings)
    found = scores(settings)
    assert len(found) == 3_000
    assert [sum(score["model_version"] == version for score in found.values()) for version in (1, 3)] == [1_000, 2_000]


def test_a_promotion_by_hand_of_the_same_model_is_left_to_the_person(
    settings: Settings,
    registry: ModelStore,
    models: list[Model],
    detect_all: Detect,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", registry.uri)
    registry.register(replace(models[1], threshold=models[1].threshold / 2), models[1].usual.T.copy())
    registry.promote(3, Note("a person"))
    send(settings, messages(traffic(1_500, customers=200, seed=82)))
    detect_all(settings)
    folder, place = Folder(tmp_path / "watch"), lake_of(settings, tmp_path / "lake")
    policy = WatchPolicy(rollback=Rollback(least_records=1_000))
    file = PolicyFile(None, policy)
    watcher = Watcher(folder, file, Observer(registry, place, settings, folder), registry, Idle())
    assert isinstance(watcher.look(), Step)  # it takes note of the champion
    assert isinstance(watcher.look(), Wait)
    assert registry.champion() == 3
