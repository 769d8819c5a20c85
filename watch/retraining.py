"""Why a new model is to be trained, and on what; or why not yet."""

from collections.abc import Iterator

from watch.policy import WatchPolicy, span
from watch.seen import Seen
from watch.state import State
from watch.steps import Step, Wait


def retraining(seen: Seen, state: State, policy: WatchPolicy, now: int) -> Step | Wait:
    """The training that is due, or what is waited for."""
    retrain = policy.retrain
    why = "; ".join(_reasons(seen, state, policy, now))
    if not why:
        return Wait("; ".join((state.alarm or "no reason to retrain", *seen.blind)))
    left = [name for name in retrain.detectors if name not in state.tried]
    goes_on = bool(state.tried) and bool(left)
    rest = 0 if state.trained is None or goes_on else state.trained + span(retrain.again_after_days) - now
    if rest > 0:
        return Wait(f"{why}; but the last training was not long ago: {rest / span(1):.1f} days are left")
    if seen.known_frauds < retrain.least_frauds:
        return Wait(f"{why}; but of the frauds {seen.known_frauds:,} are known, {retrain.least_frauds:,} have to be")
    detector = left[0] if left else retrain.detectors[0]
    since = now - span(retrain.window_days)
    return Step(
        "train",
        why,
        champion=state.champion,
        trial=state.trial,
        detector=detector,
        since=since,
        until=now,
    )


def _reasons(seen: Seen, state: State, policy: WatchPolicy, now: int) -> Iterator[str]:
    retrain = policy.retrain
    if retrain.after_alarm_days is not None and state.alarm_since is not None:
        lasted = now - state.alarm_since
        if lasted >= span(retrain.after_alarm_days):
            yield f"{state.alarm} {lasted / span(1):.1f} days ago"
    if retrain.new_frauds is not None and seen.new_frauds >= retrain.new_frauds:
        yield f"{seen.new_frauds:,} frauds are known since the champion learned"
    if retrain.recall_below is not None and seen.recall is not None and seen.recall[1] < retrain.recall_below:
        yield f"recall is {seen.recall[0]:.0%}, at most {seen.recall[1]:.0%}, and should be {retrain.recall_below:.0%}"
    if retrain.age_days is not None and seen.learned_until is not None:
        age = now - seen.learned_until
        if age >= span(retrain.age_days):
            yield f"the champion learned {age / span(1):.0f} days ago"
