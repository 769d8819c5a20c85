"""The watcher on a real MLflow: the whole loop, killed before and after each write; and what a person orders in between."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from mlflow import MlflowClient

from ml.arrays import Floats
from ml.gate.gate import Report
from ml.model import Model
from ml.registry.model_store import Check, ModelStore, Note, Terms
from tests.ml.conftest import isolation_scorer
from watch.doing import BY, Outcome, by_hand
from watch.journal import STATUS, Folder, JournalUnusable
from watch.policy import Promote, Retrain, Rollback, Trial, WatchPolicy, WatchPolicyError
from watch.seen import Live, Seen, Trying
from watch.state import Open, State
from watch.status import read_status
from watch.steps import Entry, Step, Wait
from watch.watcher import PolicyFile, Watcher
from watch.work import registration_of

DAY = 86_400_000
START = 1_800_000_000_000
POLICY = WatchPolicy(
    cooldown_days=1,
    retrain=Retrain(after_alarm_days=1, least_frauds=1),
    trial=Trial(records=1, days=1),
    promote=Promote(ramp=(0.1,), records=1, days=0.5),
    rollback=Rollback(for_days=5, least_records=10),
)


class Killed(BaseException):
    """As SIGKILL: nothing catches it."""


@dataclass
class World:
    """What an observer would see of live traffic; the aliases are the registry's own."""

    registry: ModelStore
    now: int = START
    alarms: tuple[str, ...] = ()
    live: Live = field(default_factory=Live)

    def look(self, state: State, policy: WatchPolicy) -> Seen:
        trial = self.registry.on_trial()
        trying = None if trial is None else Trying(trial.entry.version, trial.terms.share, trial.terms.judges)
        champion, previous = self.registry.champion(), self.registry.previous()
        return Seen(
            self.now, self.now, champion, previous, trying, alarms=self.alarms, live=self.live, tried=Live(100, 1),
            known_frauds=9, by_hand=by_hand(self.registry),
        )  # fmt: skip


@dataclass
class Trainer:
    """Does long steps at once: trains by registering, and lets the gate say what it is told to."""

    registry: ModelStore
    model: Model
    rows: Floats
    better: bool = True
    passed: bool = True
    stopped: bool = field(default=False)

    def poll(self, work: Open) -> Outcome | None:
        if work.step.kind == "train":
            made = self.registry.register(self.model, self.rows, registration=registration_of(work))
            return Outcome("done", "trained", made.version)
        check = Check("quality", self.passed, "as the test says")
        report = Report(work.step.version, "", 1, "", 0, self.passed, self.better, [check])
        self.registry.keep_report(work.step.version, msgspec.json.encode(report).decode())
        return Outcome("done", "checked", work.step.version, self.passed, self.better and self.passed)

    def stop(self) -> None:
        self.stopped = True


@pytest.fixture
def judged(
    registry: ModelStore, small_model: Model, features: Floats, monkeypatch: pytest.MonkeyPatch
) -> tuple[ModelStore, Trainer]:
    """A registry whose version 1 is the champion, and a trainer of other models."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", registry.uri)
    registry.register(small_model, features)
    registry.promote(1, Note("a person"))
    return registry, Trainer(registry, replace(small_model, scorer=isolation_scorer(features, 9, trees=3)), features)


def watcher_of(folder: Path, world: World, trainer: Trainer, policy: WatchPolicy = POLICY) -> Watcher:
    file = PolicyFile(None, policy)
    file.read = lambda: policy  # type: ignore[method-assign]
    return Watcher(Folder(folder), file, world, world.registry, trainer)  # type: ignore[arg-type]


def live_on(watcher: Watcher, world: World, days: float) -> list[Step | Wait]:
    """Looks until nothing is left to do, then half a day later again."""
    decisions = []
    end = world.now + int(days * DAY)
    while True:
        decision = watcher.look()
        decisions.append(decision)
        if isinstance(decision, Wait) or watcher.state.work is not None:
            if world.now >= end:
                return decisions
            world.now += DAY // 2


def test_from_the_alarm_to_the_promotion_and_back(judged: tuple[ModelStore, Trainer], tmp_path: Path) -> None:
    registry, trainer = judged
    world = World(registry)
    watcher = watcher_of(tmp_path / "watch", world, trainer)
    live_on(watcher, world, 2)
    assert registry.champion() == 1
    world.alarms = ("amount",)
    live_on(watcher, world, 0)
    world.alarms = ()
    live_on(watcher, world, 4)
    assert (registry.champion(), registry.previous()) == (2, 1)
    assert registry.on_trial().entry.version == 1  # type: ignore[union-attr]  # the one before scores on
    world.live = Live(1_000, 900)
    live_on(watcher, world, 1)
    assert registry.champion() == 1
    assert registry.on_trial() is None
    done = [entry.step.kind for entry in watcher.entries if entry.phase == "done"]
    assert done[:2] == ["note", "alarm"]
    assert done[2:] == [
        *("train", "gate", "challenge", "gate", "challenge", "promote", "challenge", "rollback", "withdraw"),
    ]
    events = registry.events()
    assert [event.action for event in events] == [
        "promote",
        *("challenge",) * 2,
        "promote",
        "challenge",
        "rollback",
        "withdraw",
    ]
    assert {event.by for event in events[1:]} == {BY}
    assert [check.name for event in events if event.action == "promote" for check in event.gate] == ["quality"]
    status = json.loads((tmp_path / "watch" / STATUS).read_bytes())
    assert (status["doing"], status["champion"], status["trial"]) == ("waiting", 1, None)


def kill_everywhere(monkeypatch: pytest.MonkeyPatch) -> set[object]:
    """Each write to the registry and to the journal is cut off before and after, the first time it is come to."""
    came: set[object] = set()

    def deadly(owner: type, name: str) -> None:
        write: Callable[..., Any] = getattr(owner, name)

        def cut(self: object, *arguments: Any, **named: Any) -> Any:
            entry = arguments[0] if isinstance(arguments[0], Entry) else None
            about: object = str(arguments[: 1 if name == "create_model_version" else 2])
            if entry is not None:
                about = entry.id, entry.phase
            elif ".event." in str(about):  # each has a number of its own, also one that is repeated
                event = json.loads(arguments[2])
                about = event["action"], event["version"], str(event.get("terms"))
            for when in ("before", "after"):
                if when == "after":
                    result = write(self, *arguments, **named)
                if (name, about, when) not in came:
                    came.add((name, about, when))
                    raise Killed
            return result

        monkeypatch.setattr(owner, name, cut)

    deadly(Folder, "append")
    for name in (
        *("set_registered_model_alias", "delete_registered_model_alias", "set_registered_model_tag"),
        "create_model_version",
    ):
        deadly(MlflowClient, name)
    return came


def test_killed_before_and_after_each_write_it_ends_where_an_unbroken_one_ends(
    judged: tuple[ModelStore, Trainer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry, trainer = judged
    world = World(registry)
    came = kill_everywhere(monkeypatch)

    def live(days: float) -> None:
        end = world.now + int(days * DAY)
        while world.now < end:
            try:
                live_on(watcher_of(tmp_path / "watch", world, trainer), world, (end - world.now) / DAY)
            except Killed:
                continue
        return

    live(2)
    world.alarms = ("amount",)
    live(0.5)
    world.alarms = ()
    live(4)
    assert (registry.champion(), registry.previous()) == (2, 1)
    world.live = Live(1_000, 900)
    live(1)
    assert (registry.champion(), registry.previous()) == (1, None)
    assert registry.on_trial() is None
    assert [version.version for version in registry.models()] == [2, 1]  # one training made one version
    assert len(came) > 40
    entries = Folder(tmp_path / "watch").entries()
    done = [entry.step.kind for entry in entries if entry.phase == "done"]
    assert done == [
        *("note", "alarm", "train", "gate", "challenge", "gate", "challenge", "promote", "challenge", "rollback"),
        "withdraw",
    ]
    assert all(entry.phase in ("begun", "done") for entry in entries)


def test_a_person_overrules_it_at_each_step(judged: tuple[ModelStore, Trainer], tmp_path: Path) -> None:
    registry, trainer = judged
    world = World(registry, alarms=("amount",))
    watcher = watcher_of(tmp_path / "watch", world, trainer)
    live_on(watcher, world, 2.5)
    assert registry.on_trial().entry.version == 2  # type: ignore[union-attr]
    registry.withdraw(Note("a person"))
    live_on(watcher, world, 0)
    assert registry.on_trial() is None
    registry.challenge(2, Note("a person"), Terms(judges=0.3))
    live_on(watcher, world, 5)
    assert registry.on_trial().terms.judges == 0.3  # type: ignore[union-attr]  # as the person left it
    registry.promote(2, Note("a person"))
    world.live = Live(1_000, 900)  # however bad: it is the person's
    live_on(watcher, world, 0.5)
    assert registry.champion() == 2
    registry.rollback(Note("a person"))
    live_on(watcher, world, 0.5)
    assert (registry.champion(), watcher.state.champion) == (1, 1)


@pytest.mark.parametrize("back", [False, True])
def test_a_promotion_that_a_person_overtook_is_left_alone(
    judged: tuple[ModelStore, Trainer], tmp_path: Path, back: bool
) -> None:
    registry, trainer = judged
    folder = Folder(tmp_path / "watch")
    registry.register(trainer.model, trainer.rows)
    registry.register(trainer.model, trainer.rows)
    step = Step("promote", "it passed the gate", version=2, champion=1, by_hand=1)
    folder.append(Entry("000001", START, START, "begun", step))  # and then it was killed
    registry.promote(3, Note("a person"))
    if back:
        registry.promote(1, Note("a person"))
    world = World(registry)
    watcher = watcher_of(folder.path, world, trainer)
    live_on(watcher, world, 0)
    assert registry.champion() == (1 if back else 3)
    assert [(entry.step.kind, entry.phase) for entry in watcher.entries[1:]] == [
        *(("promote", "overruled"), ("note", "begun"), ("note", "done")),
    ]


def test_a_version_that_the_gate_refuses_is_never_promoted(judged: tuple[ModelStore, Trainer], tmp_path: Path) -> None:
    registry, trainer = judged
    trainer.passed = False
    world = World(registry, alarms=("amount",))
    live_on(watcher := watcher_of(tmp_path / "watch", world, trainer), world, 6)
    assert registry.champion() == 1
    assert registry.on_trial() is None
    assert len(watcher.state.done_with) > 1


def test_dry_run_and_pause_change_nothing(judged: tuple[ModelStore, Trainer], tmp_path: Path) -> None:
    registry, trainer = judged
    world = World(registry, alarms=("amount",))
    watcher = watcher_of(tmp_path / "watch", world, trainer)
    decision = watcher.look(dry=True)
    assert isinstance(decision, Step)
    assert "watching begins" in decision.why
    assert not (tmp_path / "watch").exists()


def test_a_broken_edit_of_the_policy_keeps_the_last_good_one_and_says_so(tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    with pytest.raises(WatchPolicyError, match="can't be used"):
        PolicyFile.opened(file)
    file.write_text("cooldown_days: 3")
    policy = PolicyFile.opened(file)
    for broken in ("cooldown_days: -1", "cooldown: 3", "[", "a: &a [*a]", "\0", "cooldown_days: .nan", "- 1"):
        file.write_text(broken)
        assert policy.read().cooldown_days == 3
        assert "the policy before goes on" in policy.error
    file.write_text("cooldown_days: 4")
    assert (policy.read().cooldown_days, policy.error) == (4, "")


def test_the_journal_survives_a_cut_line_and_refuses_a_damaged_one(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "new" / "watch")
    assert folder.entries() == []
    entries = [Entry(f"{k:06d}", START, START, "done", Step("note", "x" * 50, champion=k)) for k in range(3)]
    for entry in entries:
        folder.append(entry)
    assert folder.entries() == entries
    file = folder.path / "journal.jsonl"
    whole = file.read_bytes()
    for cut in range(whole.rfind(b"\n", 0, -1) + 2, len(whole)):
        file.write_bytes(whole[:cut])
        assert folder.entries() == entries[:2]
    folder.append(entries[2])
    assert folder.entries() == entries
    file.write_bytes(b"{}\n" + whole)
    with pytest.raises(JournalUnusable, match=r"line 1 of .* is damaged"):
        folder.entries()


def test_what_a_person_orders_is_seen_and_two_watchers_are_one_too_many(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.pause("a release")
    folder.hold(12)
    (tmp_path / "held-x").touch()
    (tmp_path / "held-٣").touch()
    assert (folder.paused(), folder.held()) == ("a release", (12,))
    folder.resume()
    folder.release(12)
    assert (folder.paused(), folder.held()) == ("", ())
    with folder.alone(), pytest.raises(JournalUnusable, match="another watcher"), Folder(tmp_path).alone():
        pass
    folder.hold(3)
    folder.reset()
    assert (folder.held(), read_status(folder)) == ((), None)
