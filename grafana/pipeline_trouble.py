"""What fails and what it takes: the lower half of the board Pipeline health."""

from typing import Final

from grafana.building import Drawn
from grafana.questions import RATE, PromQL, rate
from grafana.shapes import lines, table, timeline

JOB: Final = '{instance=~"$instance"}'
QUERY: Final = '{instance=~"$instance", query=~"$query"}'


def of(metric: str, labels: str = JOB, by: str = "") -> str:
    """The sum of a gauge over what was chosen."""
    return f"sum{by and f' by ({by}) '}({metric}{labels})"


def failures() -> list[Drawn]:
    """What fails, and what judges."""
    return [
        lines(
            "Dead letters by reason",
            "Messages a minute that are no valid transaction, by kind of reason. A new kind: a producer has "
            "changed; read some of transactions.invalid.",
            (PromQL(f"60 * {rate('scoreline_job_dead_letters_total', JOB, 'reason')}", "{{reason}}"),),
            "suffix: /min",
            bars=True,
            stacked=True,
            width=8,
        ),
        lines(
            "Failures by query",
            "Failures of queries in each interval, by known cause. Each is started again by itself; one cause "
            "again and again needs you: docs/operations.md.",
            (
                PromQL(
                    f"sum by (query, cause) (increase(scoreline_job_query_failures_total{QUERY}{RATE}))",
                    "{{query}}: {{cause}}",
                ),
            ),
            bars=True,
            stacked=True,
            width=8,
        ),
        timeline(
            "Model version",
            "Which version of the model judged. A change is a promotion or a rollback.",
            (PromQL(f"max(scoreline_job_model_version{JOB})", "model"),),
            "prefix:v",
            width=8,
        ),
    ]


def amounts() -> list[Drawn]:
    """What the alerts come to."""
    return [
        lines(
            "Alert share",
            "Alerts among scores, and the share that the model's threshold was chosen for. Far above for long: an "
            "attack, or a model that no longer fits.",
            (
                PromQL(
                    f"{rate('scoreline_job_alerts_total', JOB)} / {rate('scoreline_job_scores_total', JOB)}", "alerts"
                ),
                PromQL(f"max(scoreline_job_alert_budget_ratio{JOB})", "budget"),
            ),
            "percentunit",
            decimals=2,
            fill=0,
        ),
        lines(
            "Alerted amount by currency",
            "What alerted payments come to a minute, by currency, as they were paid.",
            (PromQL(f"60 * {rate('scoreline_job_alert_amount_total', JOB, 'currency')}", "{{currency}}"),),
            "suffix: /min",
            bars=True,
            stacked=True,
        ),
    ]


def machine() -> list[Drawn]:
    """What the job takes."""
    return [
        lines(
            "CPU by process",
            "Cores that each of the job's processes takes: its driver, Java and Spark's Python workers. All "
            "together at the machine's number: the job can't go faster here.",
            (PromQL(rate("scoreline_job_process_cpu_seconds_total", JOB, "process"), "{{process}}"),),
            "none",
            stacked=True,
            fill=40,
            decimals=2,
            width=8,
        ),
        lines(
            "Memory by process",
            "Resident memory. A line that climbs for hours is a leak, or customers whose number grows: compare "
            "with the state, on the right.",
            (PromQL(of("scoreline_job_process_resident_memory_bytes", by="process"), "{{process}}"),),
            "bytes",
            stacked=True,
            fill=40,
            width=8,
        ),
        table(
            "State by query",
            "What Spark counts of each query's state. Rows are records of the state log, cleaned now and then, "
            "and not customers.",
            PromQL(of("scoreline_job_state_memory_bytes", QUERY, "query"), instant=True),
            {"Value": {"unit": "bytes"}},
            "query",
            desc=False,
            width=8,
        ),
    ]
