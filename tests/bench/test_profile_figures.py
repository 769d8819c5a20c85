"""What profiles cost, as the report and its targets say it."""

import msgspec
import pytest

from bench.profile_figures import WITH, WITHOUT
from bench.result import Trial
from bench.tables import markdown
from bench.targets import TARGETS
from tests.bench.results import trial, whole


def verdicts(*trials: Trial) -> dict[str, str]:
    found = msgspec.structs.replace(whole(), profiles=list(trials))
    values = {target.name: (target.value(found), target) for target in TARGETS if "profiles" in target.name}
    return {name: target.verdict(value, wanted=True) for name, (value, target) in values.items() if value is not None}


def test_what_profiles_cost_is_judged_against_the_run_without_them() -> None:
    without, beside = trial(WITHOUT, 40_000.0, 300), trial(WITH, 36_000.0, 312)
    assert verdicts(without, beside) == {
        "with profiles over without, throughput": "not met (-2 %)",
        "with profiles over without, p50 grows by": "met (-20 %)",
        "with profiles over without, p99 grows by": "met (-23 %)",
    }
    shown = markdown(msgspec.structs.replace(whole(), profiles=[without, beside]))
    assert "## Profiles" in shown
    assert "| with profiles | 36,000 |" in shown


@pytest.mark.parametrize(
    "trials",
    [[], [trial(WITHOUT, 40_000.0, 300)], [trial(WITHOUT, 40_000.0, 300), Trial(WITH, 100, failed="it ended")]],
)
def test_where_one_was_not_measured_nothing_is_judged(trials: list[Trial]) -> None:
    assert verdicts(*trials) == {}
