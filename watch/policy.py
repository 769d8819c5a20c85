"""When to retrain, how to try a challenger, when to promote and when to go back, as one YAML file says."""

from importlib import resources
from pathlib import Path
from typing import Annotated, Final, Self

import msgspec
from msgspec import Meta

from ml.detectors import DETECTORS
from ml.features import DAY
from ml.one_line import one_line
from ml.yaml_file import plain

DEFAULT_FILE: Final = "policy.yaml"

Days = Annotated[float, Meta(ge=0, le=3_650)]
Count = Annotated[int, Meta(ge=0, le=10**12)]
Share = Annotated[float, Meta(gt=0, le=1)]
Part = Annotated[float, Meta(gt=0, lt=1)]


class WatchPolicyError(ValueError):
    """A file is no policy of the watcher; the text says which, and why."""


class Retrain(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When a new model is trained, and on what. Any reason suffices; null leaves one out.

    new_frauds: so many frauds have become known since the champion's training. after_alarm_days: a drift alarm has lasted so
    long, for labels have to come first. recall_below: the champion's recall of the last `quality_days`, beyond chance.
    age_days: since the end of what the champion learned from. detectors: tried in this order until one passes the gate.
    window_days: of the lake, up to now. least_frauds: known ones in the window, else there is nothing to learn from.
    again_after_days: from one training to the next.
    """

    detectors: Annotated[tuple[str, ...], Meta(min_length=1, max_length=10)] = ("xgboost",)
    window_days: Annotated[float, Meta(gt=0, le=3_650)] = 28.0
    least_frauds: Count = 100
    again_after_days: Days = 3.0
    new_frauds: Count | None = None
    after_alarm_days: Days | None = 10.0
    recall_below: Part | None = None
    quality_days: Annotated[float, Meta(gt=0, le=3_650)] = 14.0
    age_days: Days | None = 60.0


class Trial(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How long a challenger scores beside the champion before it may judge: so many records and so many days.

    gate_again_days: where it is not better yet, the gate is asked again after so long. most_days: then the trial is over,
    unless the gate found by then that it is better.
    """

    records: Count = 10_000
    days: Days = 3.0
    gate_again_days: Annotated[float, Meta(ge=0.01, le=3_650)] = 1.0
    most_days: Days = 21.0


class Promote(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """automatic: false leaves the promotion to a person. better: beyond chance by the gate; false: not worse suffices.

    ramp: shares of the customers whom the challenger judges, one after the other, each for `records` and `days`, before it is
    promoted; empty: it is promoted at once.
    """

    automatic: bool = True
    better: bool = True
    ramp: tuple[Part, ...] = (0.01, 0.1, 0.5)
    records: Count = 1_000
    days: Days = 0.5


class Rollback(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When what the watcher promoted is taken back, and when a challenger that judges stops judging.

    for_days: since the promotion; so long the champion before goes on scoring beside it. least_records: judged, before a share
    of them says anything. most_dead_letters: a share of the records. alert_times: how many times the budget, or how small a
    part of it, may be alerted. latency_ms: from Kafka to the score, of 99 in 100 records. chance: how rarely equal models would
    differ so far in the frauds that they found; below it, the one before is better.
    """

    automatic: bool = True
    for_days: Days = 14.0
    least_records: Annotated[int, Meta(ge=1)] = 5_000
    most_dead_letters: Share = 0.01
    alert_times: Annotated[float, Meta(gt=1)] = 4.0
    latency_ms: Annotated[float, Meta(gt=0)] = 60_000.0
    chance: Part = 0.01


class WatchPolicy(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The policy as a whole. Days are of event time, so that a replay at another pace is watched alike.

    every_seconds: from one look to the next. cooldown_days: after each change of the champion, by whomever, nothing is promoted
    or trained for so long. retry_minutes: after a step that failed; doubled each time in a row, up to a day.
    drift: a policy of drift (docs/monitoring.md), else the built-in one.
    """

    every_seconds: Annotated[float, Meta(ge=0.1, le=86_400)] = 60.0
    cooldown_days: Days = 7.0
    retry_minutes: Annotated[float, Meta(gt=0, le=1_440)] = 5.0
    drift: str | None = None
    retrain: Retrain = Retrain()
    trial: Trial = Trial()
    promote: Promote = Promote()
    rollback: Rollback = Rollback()

    def __post_init__(self) -> None:
        unknown = [name for name in self.retrain.detectors if name not in DETECTORS]
        if unknown:
            raise ValueError(f"retrain.detectors are of {', '.join(DETECTORS)}, but there is {unknown[0]!r}")
        if list(self.promote.ramp) != sorted(set(self.promote.ramp)):
            raise ValueError("promote.ramp has to rise from share to share")

    @classmethod
    def read(cls, path: Path | None = None) -> Self:
        """The policy in a file; without one, the built-in one. Raises `WatchPolicyError`."""
        try:
            builtin = resources.files(__package__).joinpath(DEFAULT_FILE)
            return msgspec.convert(plain(builtin.read_bytes() if path is None else path.read_bytes()), cls)
        except (OSError, ValueError, RecursionError) as error:
            raise WatchPolicyError(
                f"{path or DEFAULT_FILE} should be a policy of the watcher, but it can't be used: {one_line(error)}; "
                f"watch/{DEFAULT_FILE} is one"
            ) from error


def span(days: float) -> int:
    """Days as milliseconds."""
    return round(days * DAY)
