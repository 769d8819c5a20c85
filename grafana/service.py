"""Scoring service: how fast it answers, what it decides, and whether its replica of the state keeps up."""

from typing import Final

from grafana.building import Board, Drawn, Row
from grafana.questions import PromQL, quantile, rate
from grafana.shapes import lines, stat, timeline
from grafana.variables import OF_GRAFANA, PAGE, of_label

UID: Final = "scoreline-service"

_ALL: Final = '{instance=~"$instance"}'
_ROUTE: Final = '{instance=~"$instance", route=~"$route"}'


def board() -> Board:
    """The board."""
    return Board(
        "scoring-service",
        UID,
        "Scoring service",
        "How fast the service answers, what it decides, and whether its replica of the state keeps up.",
        [
            Row(4, _figures()),
            Row(8, _requests(), "How does it answer?"),
            Row(8, _decisions(), "What does it decide?"),
            Row(8, _replica(), "Does it keep up with the log?"),
        ],
        [
            of_label("instance", "Service", "scoreline_customers"),
            of_label("route", "Route", "scoreline_requests_total"),
            PAGE,
        ],
        [OF_GRAFANA],
        refresh="15s",
        since="now-1h",
    )


def _stat(title: str, description: str, expr: str, unit: str = "short", **more: object) -> Drawn:
    settings: dict[str, object] = {"no_value": "no service is read", "width": 4} | more
    return stat(title, description, PromQL(expr), unit, **settings)  # type: ignore[arg-type]


def _p(share: float, by: str = "") -> str:
    return quantile(share, "scoreline_request_duration_seconds", _ROUTE, by)


def _figures() -> list[Drawn]:
    return [
        _stat(
            "Ready",
            "Whether every chosen service answers. No: it is reading its state, or can't reach Kafka; /ready says "
            "which.",
            f"min(scoreline_ready{_ALL})",
            "bool_yes_no",
            first="red",
            steps=((1, "green"),),
        ),
        _stat(
            "Latency p99",
            "99 of 100 answers were ready within this time. From 20 ms: too many requests for one process, or "
            "Kafka is slow to confirm.",
            _p(0.99),
            "s",
            steps=((0.02, "orange"), (0.1, "red")),
            decimals=4,
        ),
        _stat(
            "Answered by the fallback",
            "Share of payments that were answered without a judgement, by the policy's fallback. Any for long: "
            "the service waits for its own records; see its lag.",
            f"{rate('scoreline_fallbacks_total', _ALL)} / {rate('scoreline_decisions_total', _ALL)}",
            "percentunit",
            steps=((0.0001, "orange"), (0.01, "red")),
            decimals=2,
        ),
        _stat(
            "Age of what it read last",
            "How old the record was that the service read last. From 10 s it raises no early alerts: the job's "
            "are the only ones.",
            f"max(scoreline_lag_seconds{_ALL})",
            "s",
            steps=((2, "orange"), (10, "red")),
            decimals=1,
        ),
        _stat(
            "Customers",
            "Customers whose state the service holds; some 1 KiB of memory each.",
            f"sum(scoreline_customers{_ALL})",
            first="blue",
        ),
        _stat(
            "Champion refused",
            "1 while the registry's champion can't be loaded and the model before it answers. The service's log "
            "names the reason.",
            f"max(scoreline_model_refused{_ALL})",
            "bool_yes_no",
            steps=((1, "red"),),
        ),
    ]


def _requests() -> list[Drawn]:
    return [
        lines(
            "Requests by outcome",
            "Requests a second by route and outcome. Outcomes of 4xx are the caller's: keys, rates, form; of 5xx ours.",
            (PromQL(rate("scoreline_requests_total", _ROUTE, "route, outcome"), "{{route}} {{outcome}}"),),
            "suffix: /s",
            decimals=1,
        ),
        lines(
            "Time to answer",
            "From a request's arrival until its answer was ready, by route. /transactions waits for Kafka, "
            "/predict does not.",
            (
                PromQL(_p(0.5, "route"), "{{route}} p50"),
                PromQL(_p(0.99, "route"), "{{route}} p99"),
            ),
            "s",
            decimals=4,
            fill=0,
            steps=((0.02, "orange"), (0.1, "red")),
        ),
    ]


def _decisions() -> list[Drawn]:
    return [
        lines(
            "Decisions",
            "Payments a second by decision, and by what decided: the model, a rule or the fallback. A rule that "
            "decides much: look whether it is meant to.",
            (PromQL(rate("scoreline_decisions_total", _ALL, "decision, by"), "{{decision}} by {{by}}"),),
            "suffix: /s",
            decimals=1,
            stacked=True,
        ),
        lines(
            "Early alerts",
            "Early alerts a minute that were sent, and that could not be sent. The job's alerts come all the "
            "same, a little later.",
            (
                PromQL(f"60 * {rate('scoreline_early_alerts_total', _ALL)}", "sent"),
                PromQL(f"60 * {rate('scoreline_early_alerts_failed_total', _ALL)}", "failed"),
            ),
            "suffix: /min",
            decimals=1,
            bars=True,
        ),
    ]


def _replica() -> list[Drawn]:
    return [
        lines(
            "Records read, and not read yet",
            "Records a second that the service reads of the log, and how many wait. If these climb, the service "
            "is slower than the traffic.",
            (
                PromQL(rate("scoreline_records_total", _ALL), "read a second"),
                PromQL(f"sum(scoreline_lag_records{_ALL})", "waiting"),
            ),
            width=8,
        ),
        lines(
            "Requests that wait",
            "Requests that wait for their record to come back. At the limit (2,000 unless set otherwise) more are "
            "refused.",
            (PromQL(f"sum(scoreline_requests_waiting{_ALL})", "waiting"),),
            width=8,
            steps=((1_000, "orange"), (2_000, "red")),
        ),
        timeline(
            "Versions in use",
            "Which model, table of thresholds and profiles answer. Services that differ for more than a minute: "
            "one can't reach the registry.",
            (
                PromQL(f"scoreline_model_version{_ALL}", "model, {{instance}}"),
                PromQL(f"scoreline_threshold_version{_ALL}", "thresholds, {{instance}}"),
                PromQL(f"scoreline_profile_version{_ALL}", "profiles, {{instance}}"),
            ),
            "prefix:v",
            width=8,
        ),
    ]
