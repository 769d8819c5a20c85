"""The decision core, as properties over whole lives: whatever is seen and whatever fails, what is promised holds."""

from collections.abc import Iterator
from random import Random

import msgspec
from hypothesis import example, given, settings
from hypothesis import strategies as st

from watch.decision import decide
from watch.doing import Outcome
from watch.policy import Promote, Retrain, Rollback, Trial, WatchPolicy, span
from watch.seen import Live, Pair, Seen, Trying
from watch.state import State, after, folded
from watch.steps import WORK, Entry, Step, Wait

NOW = 1_800_000_000_000
HOUR = 3_600_000
DAY = 24 * HOUR

POLICY = WatchPolicy(
    cooldown_days=2,
    retrain=Retrain(after_alarm_days=1, least_frauds=10, again_after_days=1, detectors=("xgboost", "random_forest")),
    trial=Trial(records=100, days=1, gate_again_days=0.5, most_days=6),
    promote=Promote(ramp=(0.1, 0.5), records=10, days=0.25),
    rollback=Rollback(for_days=3, least_records=100),
)


class Life:
    """A registry and a watcher, hour by hour; what each look sees and what becomes of each step is drawn."""

    def __init__(self, random: Random, policy: WatchPolicy = POLICY) -> None:
        self.random, self.policy, self.harm = random, policy, random.random() < 0.5
        self.state, self.entries = State(), list[Entry]()
        self.champion, self.previous, self.trial = 1, 0, Trying(0)
        self.versions, self.now, self.refused = 1, NOW, set[int]()
        self.promotions, self.changes, self.steps = list[tuple[int, int]](), list[int](), list[Step]()
        self.by_hand = 0
        self.verdicts: dict[int, tuple[bool, bool]] = {}

    def seen(self) -> Seen:
        pick = self.random.choice
        return Seen(
            self.now,
            self.now,
            self.champion,
            self.previous or None,
            self.trial if self.trial.version else None,
            known_frauds=pick([0, 50]),
            alarms=pick([(), ("amount",)]),
            live=pick([Live(), Live(1_000, 5), Live(1_000, 5), Live(1_000, 900)] if self.harm else [Live(1_000, 5)]),
            tried=pick([Live(), Live(1_000, 5), Live(1_000, 5), Live(1_000, 900)] if self.harm else [Live(1_000, 5)]),
            pair=pick([Pair(), Pair(1, 30)] if self.harm else [Pair()]),
            held=pick([(), (2,)] if self.harm else [()]),
            by_hand=self.by_hand,
        )

    def write(self, entry: Entry) -> None:
        self.entries.append(entry)
        self.state = after(self.state, entry)

    def hour(self) -> None:
        self.now += HOUR
        chance = self.random.randrange
        if chance(60) == 0:  # a person promotes something
            other = 1 + chance(self.versions)
            if other != self.champion:
                self.champion, self.previous = other, self.champion
                self.changes.append(self.now)
                self.by_hand += 1
        work = self.state.work
        if work is not None and chance(2):
            self.end(work.id, work.step)
        seen = self.seen()
        step = decide(seen, self.state, self.policy)
        assert isinstance(step, Wait | Step)
        assert step.why
        if isinstance(step, Wait):
            return
        self.steps.append(step)
        opened = self.state.begun.id if self.state.begun else self.state.next_id
        if self.state.begun is None:
            self.write(Entry(opened, self.now, self.now, "begun", step))
        if step.kind not in WORK and chance(6):  # else it is killed between both entries
            self.end(opened, step)

    def end(self, id: str, step: Step) -> None:
        kind = self.random.choice(["done", "done", "done", "failed"])
        outcome = self.done(step) if kind == "done" else Outcome("failed", "as drawn")
        self.write(Entry(id, self.now, self.now, outcome.phase, step, *outcome[2:], said=outcome.said))

    def done(self, step: Step) -> Outcome:
        if step.kind == "train":
            self.versions += 1
            return Outcome("done", "", self.versions)
        if step.kind == "gate":
            passed = self.random.random() < 0.7
            self.verdicts[step.version] = passed, passed and self.random.random() < 0.7
            return Outcome("done", "", step.version, *self.verdicts[step.version])
        changed = (self.champion, self.by_hand) != (step.champion, step.by_hand)
        if step.kind in ("promote", "rollback") and changed:
            return Outcome("overruled", "")
        if step.kind == "promote":
            self.promotions.append((self.now, step.version))
            self.champion, self.previous = step.version, self.champion
            self.trial = Trying(0) if self.trial.version == step.version else self.trial
        elif step.kind == "rollback":
            self.refused.add(self.champion)
            self.champion, self.previous = self.previous, 0
            self.changes.append(self.now)
            return Outcome("done", "", self.champion)
        elif step.kind == "challenge":
            self.trial = Trying(step.version, 1.0, step.judges)
        elif step.kind == "withdraw":
            self.trial = Trying(0)
        return Outcome("done", "")


@settings(max_examples=150, deadline=None)
@example(3934)  # a person goes to another champion and back while a promotion is under way
@given(st.integers(0, 2**32))
def test_no_life_promotes_twice_within_the_cooldown_nor_what_the_gate_refused(seed: int) -> None:
    life = Life(Random(seed))
    for _ in range(800):
        before = len(life.promotions)
        life.hour()
        for _, version in life.promotions[before:]:
            assert life.verdicts[version] == (True, True)
            assert version not in life.refused
    times = sorted([time for time, _ in life.promotions])
    changes = sorted([*times, *life.changes])
    for time in times:  # neither soon after another one, nor after a rollback, nor after what a person did
        noticed = [change for change in changes if change < time]
        assert all(time - change >= span(POLICY.cooldown_days) - 2 * HOUR for change in noticed[-1:])


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32))
def test_a_journal_read_again_after_a_kill_at_any_entry_says_what_the_watcher_knew(seed: int) -> None:
    life = Life(Random(seed))
    for _ in range(200):
        life.hour()
    assert folded(life.entries) == life.state
    ids = [entry.id for entry in life.entries if entry.phase == "begun"]
    assert len(ids) == len(set(ids))
    again = [msgspec.json.decode(msgspec.json.encode(entry), type=Entry) for entry in life.entries]
    assert folded(again) == life.state


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 300))
def test_after_any_past_a_quiet_time_ends_in_waiting(seed: int, hours: int) -> None:
    life = Life(Random(seed))
    for _ in range(hours):
        life.hour()
    for decision in _quiet(life):
        if isinstance(decision, Wait):
            return
    raise AssertionError(f"no rest after {life.entries[-5:]}")


def _quiet(life: Life) -> Iterator[Step | Wait]:
    """Looks at which nothing is seen and everything succeeds."""
    for _ in range(40):
        life.now += 2 * DAY
        if life.state.work is not None:
            life.write(Entry(life.state.work.id, life.now, life.now, "done", life.state.work.step, 9))
        trial = life.trial if life.trial.version else None
        step = decide(Seen(life.now, life.now, life.champion, None, trial), life.state, POLICY)
        yield step
        if isinstance(step, Step):
            opened = life.state.begun.id if life.state.begun else life.state.next_id
            if step.kind not in WORK:
                outcome = life.done(step)
                life.write(Entry(opened, life.now, life.now, outcome.phase, step, *outcome[2:]))
            else:
                life.write(Entry(opened, life.now, life.now, "begun", step))


def _at(seen: dict[str, object], state: State, policy: WatchPolicy = POLICY) -> Step | Wait:
    return decide(Seen(**{"now": NOW, "event_now": NOW, "champion": 1, **seen}), state, policy)  # type: ignore[arg-type]


WATCHED = State(champion=1, changed=NOW - 10 * DAY)
PROMOTED = State(champion=2, promoted=2, changed=NOW - HOUR)
TRIED = State(champion=1, changed=NOW - 10 * DAY, trial=2, role="candidate", trial_since=NOW - 2 * DAY, first_tried=NOW)


def test_without_a_champion_or_a_score_or_while_paused_it_waits_and_says_so() -> None:
    assert "promotes the first one" in _at({"champion": None}, State()).why
    assert "no score" in _at({"event_now": None}, State()).why
    assert _at({"paused": "a release"}, State()).why == "paused: a release"


def test_an_alarm_that_has_lasted_leads_to_a_training_of_the_detectors_in_turn() -> None:
    alarm = _at({"alarms": ("amount",)}, WATCHED)
    assert isinstance(alarm, Step)
    assert (alarm.kind, alarm.why) == ("alarm", "drift of amount")
    drifting = msgspec.structs.replace(WATCHED, alarm_since=NOW - 2 * DAY, alarm="drift of amount")
    first = _at({"known_frauds": 50}, drifting)
    assert isinstance(first, Step)
    assert (first.kind, first.detector, first.until - first.since) == ("train", "xgboost", 28 * DAY)
    second = _at({"known_frauds": 50}, msgspec.structs.replace(drifting, trained=NOW, tried=("xgboost",)))
    assert isinstance(second, Step)
    assert second.detector == "random_forest"
    third = _at(
        {"known_frauds": 50}, msgspec.structs.replace(drifting, trained=NOW, tried=("xgboost", "random_forest"))
    )
    assert "the last training was not long ago" in third.why
    assert "of the frauds 3 are known" in _at({"known_frauds": 3}, drifting).why


def test_a_champion_that_does_harm_is_rolled_back_for_each_reason_even_while_it_cools_down() -> None:
    for harm, why in (
        ({"live": Live(1_000, 900)}, "it alerted 90.00% of 1,000 records"),
        ({"live": Live(1_000, 0)}, "it alerted 0.00%"),
        ({"live": Live(1_000, 5, 90_000.0)}, "took up to 90,000 ms"),
        ({"live": Live(1_000, 5), "dead_letters": 0.2}, "20.00% of the records became dead letters"),
        ({"pair": Pair(2, 20)}, "it alone found 2, and the champion before it alone 20"),
    ):
        step = _at({"champion": 2, "previous": 1, **harm}, PROMOTED)
        assert isinstance(step, Step), harm
        assert step.kind == "rollback"
        assert why in step.why
        by_hand = _at({"champion": 2, "previous": 1, **harm}, msgspec.structs.replace(PROMOTED, promoted=0))
        assert "cooldown" in by_hand.why  # what a person promoted is not taken back
        later = _at({"champion": 2, "previous": 1, **harm}, msgspec.structs.replace(PROMOTED, changed=NOW - 4 * DAY))
        assert not isinstance(later, Step) or later.kind != "rollback"


def test_the_champion_before_scores_on_beside_its_successor() -> None:
    step = _at({"champion": 2, "previous": 1}, PROMOTED)
    assert isinstance(step, Step)
    assert (step.kind, step.version, step.role, step.judges) == ("challenge", 1, "guard", 0.0)
    assert isinstance(_at({"champion": 2, "previous": None}, PROMOTED), Wait)


def test_a_candidate_shadows_then_is_checked_then_judges_more_and_more_and_is_promoted() -> None:
    trying = {"trial": Trying(2), "tried": Live(1_000, 5)}
    state = msgspec.structs.replace(TRIED, first_tried=NOW - 2 * DAY)
    assert "0 of 100 records" in _at({"trial": Trying(2)}, state).why
    gate = _at(trying, state)
    assert isinstance(gate, Step)
    assert (gate.kind, gate.live) == ("gate", True)
    state = after(state, Entry("1", NOW, NOW, "done", gate, 2, passed=True))
    assert "not better beyond chance yet" in _at(trying, state).why
    state = after(state, Entry("1", NOW, NOW, "done", gate, 2, passed=True, better=True))
    for share in (0.1, 0.5):
        step = _at(trying, state)
        assert isinstance(step, Step)
        assert (step.kind, step.version, step.judges) == ("challenge", 2, share)
        state = after(state, Entry("2", NOW, NOW - DAY, "done", step))
        trying = {"trial": Trying(2, 1.0, share), "tried": Live(1_000, 5)}
    step = _at(trying, state)
    assert isinstance(step, Step)
    assert step.kind == "promote"
    by_hand = msgspec.structs.replace(POLICY, promote=Promote(automatic=False))
    assert "a person does that" in _at(trying, state, by_hand).why
    harmful = _at({**trying, "tried": Live(1_000, 900)}, state)
    assert isinstance(harmful, Step)
    assert harmful.kind == "withdraw"
    held = _at({**trying, "held": (2,)}, state)
    assert isinstance(held, Step)
    assert held.kind == "withdraw"


def test_a_candidate_that_the_gate_refuses_while_it_is_on_trial_is_withdrawn_by_whatever_policy() -> None:
    trying = {"trial": Trying(2), "tried": Live(1_000, 5)}
    state = msgspec.structs.replace(TRIED, first_tried=NOW - 2 * DAY)
    gate = _at(trying, state)
    assert isinstance(gate, Step)
    refused = after(state, Entry("1", NOW, NOW, "done", gate, 2, passed=False))
    for better in (True, False):
        step = _at(trying, refused, msgspec.structs.replace(POLICY, promote=Promote(better=better)))
        assert isinstance(step, Step), better
        assert (step.kind, step.version) == ("withdraw", 2)


def test_a_trial_that_showed_in_time_that_it_is_better_goes_on_beyond_its_days() -> None:
    trying = {"trial": Trying(2), "tried": Live(1_000, 5)}
    late = msgspec.structs.replace(TRIED, first_tried=NOW - 7 * DAY)
    over = _at(trying, late)
    assert isinstance(over, Step)
    assert over.kind == "withdraw"
    gate = _at(trying, msgspec.structs.replace(TRIED, first_tried=NOW - 2 * DAY))
    assert isinstance(gate, Step)
    shown = after(late, Entry("1", NOW, NOW, "done", gate, 2, passed=True, better=True))
    step = _at(trying, shown)
    assert isinstance(step, Step)
    assert (step.kind, step.judges) == ("challenge", 0.1)
    by_hand = _at(trying, shown, msgspec.structs.replace(POLICY, promote=Promote(automatic=False)))
    assert isinstance(by_hand, Step)
    assert by_hand.kind == "withdraw"


def test_what_a_person_changes_becomes_the_base_and_is_left_alone() -> None:
    promoted = _at({"champion": 7}, WATCHED)
    assert isinstance(promoted, Step)
    assert (promoted.kind, promoted.champion) == ("note", 7)
    state = after(WATCHED, Entry("1", NOW, NOW, "done", promoted))
    assert "cooldown" in _at({"champion": 7}, state).why
    trial = _at({"trial": Trying(5, 1.0, 0.1)}, WATCHED)
    assert isinstance(trial, Step)
    state = after(WATCHED, Entry("1", NOW, NOW, "done", trial))
    assert "on trial by hand" in _at({"trial": Trying(5, 1.0, 0.1)}, state).why


def test_a_step_that_failed_waits_longer_each_time_but_no_rollback_waits_for_a_training() -> None:
    failed = msgspec.structs.replace(PROMOTED, failures=3, failed="train", failed_at=NOW)
    assert "20.0 minutes" in _at({"champion": 2}, failed).why
    rolled = _at({"champion": 2, "previous": 1, "live": Live(1_000, 900)}, failed)
    assert isinstance(rolled, Step)
    assert rolled.kind == "rollback"
