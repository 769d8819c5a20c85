"""The decision: from what was seen, the past and the policy to the next step, with its reason. Pure."""

from watch.dangers import champion_danger, trial_danger
from watch.policy import WatchPolicy, span
from watch.retraining import retraining
from watch.seen import Seen, Trying
from watch.state import Gated, State
from watch.steps import Step, Wait

_DAY_MINUTES = 1_440.0
_ENOUGH_DOUBLINGS = 20

_NOBODY = Trying(0)


def decide(seen: Seen, state: State, policy: WatchPolicy) -> Step | Wait:
    """What comes next. What a person did comes first, then what is dangerous, then what was begun, then what is new."""
    if seen.paused:
        return Wait(f"paused: {seen.paused}")
    if seen.champion is None:
        return Wait("there is no champion: a person trains and promotes the first one (`scoreline promote VERSION`)")
    if seen.event_now is None:
        return Wait("the lake has no score yet" + "".join(f"; {why}" for why in seen.blind))
    if state.begun is not None:
        return state.begun.step
    if (noted := _by_hand(seen, state, seen.champion)) is not None:
        return noted
    if seen.alarms and state.alarm_since is None:
        return _step(state, "alarm", f"drift of {', '.join(seen.alarms[:3])}")
    return _urgent(seen, state, policy) or _usual(seen, state, policy, seen.event_now)


def _by_hand(seen: Seen, state: State, champion: int) -> Step | None:
    """A step that takes in what a person changed, and makes it the base of all that comes."""
    trial = seen.trial or _NOBODY
    if (champion, seen.by_hand) != (state.champion, state.by_hand):
        what = f"version {champion} is the champion"
        why = f"{what}, by hand: it stays for the cooldown" if state.champion else f"{what}; watching begins"
    elif (trial.version, trial.judges) != (state.trial, state.judges):
        by_hand = f"a person put version {trial.version} on trial" if trial.version else "a person ended the trial"
        why = f"{by_hand}, judging {trial.judges:.0%}" if trial.judges else by_hand
    else:
        return None
    return Step("note", why, champion=champion, trial=trial.version, judges=trial.judges, by_hand=seen.by_hand)


def _urgent(seen: Seen, state: State, policy: WatchPolicy) -> Step | None:
    """What does not wait for anything: neither for the cooldown nor for a training."""
    failed = state.failed == "rollback" and _retry_later(seen, state, policy)
    if not failed and (danger := champion_danger(seen, state, policy.rollback)):
        return _step(state, "rollback", f"rolled back: {danger}", version=seen.previous or 0)
    if state.role == "candidate" and state.judges and (danger := trial_danger(seen, policy.rollback)):
        return _withdraw(state, danger)
    if state.trial and state.trial == state.champion:
        return _withdraw(state, "it is the champion")
    return None


def _usual(seen: Seen, state: State, policy: WatchPolicy, now: int) -> Step | Wait:
    if state.work is not None:
        step = state.work.step
        what = f"training {step.detector}" if step.kind == "train" else f"the gate checks version {step.version}"
        return Wait(f"{what}: {step.why}")
    if (why := _retry_later(seen, state, policy)) is not None:
        return Wait(why)
    if state.role == "by hand":
        return Wait(f"version {state.trial} is on trial by hand: the watcher begins none until that ends")
    if state.role == "candidate":
        return _trying(seen, state, policy, now)
    return _guarding(seen, state, policy, now) or _candidate(seen, state, policy, now)


def _retry_later(seen: Seen, state: State, policy: WatchPolicy) -> str | None:
    """Why a step that failed is not repeated yet; None where it may be."""
    if not state.failures:
        return None
    doubled = policy.retry_minutes * 2 ** min(state.failures - 1, _ENOUGH_DOUBLINGS)
    left = state.failed_at + min(doubled, _DAY_MINUTES) * 60_000 - seen.now
    if left <= 0 or seen.now < state.failed_at:  # a clock that was set back says nothing of how long ago that was
        return None
    return f"the last step failed ({state.failures} in a row): the next attempt is in {left / 60_000:.1f} minutes"


def _guarding(seen: Seen, state: State, policy: WatchPolicy, now: int) -> Step | None:
    """For some days after a promotion the champion before goes on scoring, so that both can be compared."""
    guarded = state.promoted == state.champion and state.changed is not None
    over = not guarded or now >= (state.changed or 0) + span(policy.rollback.for_days)
    if state.role == "guard":
        return _withdraw(state, "it scored beside its successor for long enough") if over else None
    before = seen.previous
    if over or not before or before == seen.champion or before in state.done_with or state.failures:
        return None
    why = f"version {before}, the champion before, scores on beside version {state.champion}"
    return _step(state, "challenge", why, version=before, role="guard")


def _candidate(seen: Seen, state: State, policy: WatchPolicy, now: int) -> Step | Wait:
    """What comes of a version that was trained; where there is none, whether one is to be."""
    version = state.candidate
    fresh = state.trained is not None and now < state.trained + span(policy.trial.most_days)
    if not version or not fresh or version in state.done_with:
        return cooling(state, policy, now) or retraining(seen, state, policy, now)
    if version in seen.held:
        return Wait(f"version {version} was trained, and is held by hand")
    if state.gated is None or state.gated.version != version:
        return _step(state, "gate", f"version {version} was trained: is it sound?", version=version)
    why = f"version {version} passed the gate: it scores beside the champion"
    return _step(state, "challenge", why, version=version, role="candidate")


def _trying(seen: Seen, state: State, policy: WatchPolicy, now: int) -> Step | Wait:
    """What comes of the candidate on trial."""
    version, trial = state.trial, policy.trial
    if version in seen.held:
        return _withdraw(state, "a person holds it")
    asked = state.gated
    gated = asked if asked is not None and asked.version == version and asked.live else None
    if gated is not None and not gated.passed:
        return _withdraw(state, "the gate refused it by what it did live")
    shown = gated is not None and (gated.better or not policy.promote.better)
    if now >= state.first_tried + span(trial.most_days) and not (shown and policy.promote.automatic):
        return _withdraw(state, f"{trial.most_days:g} days of trial did not show that it is better")
    least, days = (policy.promote.records, policy.promote.days) if state.judges else (trial.records, trial.days)
    left = state.trial_since + span(days) - now
    if seen.tried.records < least or left > 0:
        what = f"judges {state.judges:.0%}" if state.judges else "scores beside the champion"
        return Wait(
            f"version {version} {what}: {seen.tried.records:,} of {least:,} records, {max(left, 0) / span(1):.1f} of "
            f"{days:g} days are left"
        )
    if gated is None or _stale(gated, policy, now):
        why, since = f"version {version} was tried for long enough", now - span(policy.retrain.window_days)
        return _step(state, "gate", why, version=version, live=True, since=since, until=now)
    if not shown:
        return Wait(f"version {version} is not better beyond chance yet: the gate is asked again")
    return _advanced(state, policy, now)


def _stale(gated: Gated, policy: WatchPolicy, now: int) -> bool:
    """Whether the gate has to be asked again: it did not say better, and more labels have come since."""
    return not gated.better and now >= gated.time + span(policy.trial.gate_again_days)


def _advanced(state: State, policy: WatchPolicy, now: int) -> Step | Wait:
    """The next share of the ramp, or the promotion."""
    version = state.trial
    if not policy.promote.automatic:
        return Wait(f"version {version} may be promoted: a person does that (`scoreline promote {version}`)")
    if (wait := cooling(state, policy, now)) is not None:
        return wait
    larger = [share for share in policy.promote.ramp if share > state.judges]
    if larger:
        why = f"version {version} passed the gate: it judges {larger[0]:.0%} of the customers"
        return _step(state, "challenge", why, version=version, judges=larger[0], role="candidate")
    why = f"it passed the gate{', and is better beyond chance' * bool(state.gated and state.gated.better)}"
    return _step(state, "promote", why, version=version)


def cooling(state: State, policy: WatchPolicy, now: int) -> Wait | None:
    """Why nothing is changed yet; None where it may be."""
    if state.changed is None:
        return None
    left = state.changed + span(policy.cooldown_days) - now
    return Wait(f"cooldown: the champion changed, {left / span(1):.1f} days are left") if left > 0 else None


def _withdraw(state: State, why: str) -> Step:
    return _step(state, "withdraw", f"version {state.trial}: {why}", version=state.trial, role=state.role)


def _step(state: State, kind: object, why: str, **fields: object) -> Step:
    return Step(kind, why, champion=state.champion, trial=state.trial, by_hand=state.by_hand, **fields)  # type: ignore[arg-type]
