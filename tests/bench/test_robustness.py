"""What the service has to stand: bad requests are bad, each in its own way, and what was measured is judged."""

import msgspec
import pytest

from bench.figures import latency
from bench.lane_figures import RobustnessFigures, robustness_figures
from bench.lane_table import robustness_section
from bench.open_loop import Load
from bench.result import Robustness
from bench.robustness import RobustnessPlan, bad_body, unexpected
from bench.sizes import FULL
from bench.targets import TARGETS
from detection.message_parsing import Invalid, parse
from serving.http import RequestRefused
from serving.requests import Limits, batch_of
from tests.bench.results import whole

GOOD = (
    b'{"transaction_id":"t1","event_time":"2026-05-28T12:00:00Z","customer_id":"c1","amount":4.5,"currency":"EUR",'
    b'"merchant_id":"m1"}'
)


def loaded(statuses: dict[int, int], degraded: int = 0) -> Load:
    return Load(1_000.0, sum(statuses.values()), statuses, 0, 0.1, latency([2.0, 28.5]), degraded)


@pytest.mark.parametrize("number", range(10))
def test_each_bad_request_is_one_that_has_to_be_refused(number: int) -> None:
    body = bad_body(GOOD, number)
    if len(body) > Limits().transaction_bytes:
        return
    with pytest.raises((Invalid, RequestRefused)):
        batch_of(body) if body.lstrip().startswith(b"[") else parse(body)


def test_an_error_is_a_good_request_without_a_judgement_or_a_bad_one_that_is_not_refused() -> None:
    assert unexpected(loaded({200: 990, 422: 9, 413: 1}), 10) == 0
    assert unexpected(loaded({200: 989, 422: 10, 503: 1}), 10) == 1
    assert unexpected(loaded({200: 990, 422: 10}, degraded=3), 10) == 3
    assert unexpected(loaded({200: 991, 422: 9}), 10) == 2
    assert unexpected(loaded({200: 989, 422: 11}), 10) == 2


def test_what_was_measured_is_judged_and_shown_and_what_was_not_is_null() -> None:
    assert robustness_figures(whole()) == RobustnessFigures()
    assert robustness_section(whole()) == ""
    measured = Robustness(
        1_000_000, 18.0, 1_000 << 20, 100_000, 6.0, 5, 2, loaded({200: 100}), 10, loaded({200: 90, 422: 10})
    )
    result = msgspec.structs.replace(whole(), robustness=measured)
    verdicts = {
        target.name: target.verdict(value, wanted=True)
        for target in TARGETS
        if target.name.startswith("service:") and (value := target.value(result)) is not None
    }
    assert verdicts == {
        "service: start with 1 M customers": "met (-10 %)",
        "service: memory after that": "met (-19 %)",
        "service: kill to the first answer": "not met (+20 %)",
        "service: slowest request across promotions": "met (-5 %)",
        "service: errors with 1 % bad requests": "met",
    }
    assert "| promotion slowest ms | 28.5 |" in robustness_section(result)


def test_the_whole_plan_is_what_was_promised() -> None:
    assert FULL.robustness == RobustnessPlan()
    assert (FULL.robustness.many, FULL.robustness.bad_seconds, FULL.customers) == (1_000_000, 600.0, 100_000)
