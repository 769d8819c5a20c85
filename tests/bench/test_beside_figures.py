"""What runs beside detection, as the report and its targets say it."""

import msgspec

from bench.beside_figures import ALONE, CHALLENGER, EVERYTHING
from bench.result import Trial
from bench.tables import markdown
from bench.targets import TARGETS
from tests.bench.results import trial, whole


def verdicts(*trials: Trial) -> list[str]:
    found = msgspec.structs.replace(whole(), beside=list(trials))
    names = "with a challenger over without, throughput", "archive, challenger and drift: throughput"
    values = [(target, target.value(found)) for target in TARGETS if target.name in names]
    return [target.verdict(value, wanted=True) for target, value in values if value is not None]


def test_what_runs_beside_detection_is_judged_against_detection_alone() -> None:
    alone, challenger, everything = (
        trial(ALONE, 40_000.0, 300),
        trial(CHALLENGER, 36_000.0, 300),
        trial(EVERYTHING, 20_000.0, 300),
    )
    assert verdicts(alone, challenger, everything) == ["met (+2 %)", "not met (-29 %)"]
    shown = markdown(msgspec.structs.replace(whole(), beside=[alone, challenger, everything]))
    assert "## Beside detection" in shown
    assert "| with archive, challenger and drift | 20,000 |" in shown


def test_where_one_was_not_measured_nothing_is_judged() -> None:
    assert verdicts(trial(CHALLENGER, 40_000.0, 300)) == []
    assert verdicts(trial(ALONE, 40_000.0, 300), Trial(EVERYTHING, 100, failed="it ended")) == []
