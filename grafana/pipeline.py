"""Pipeline health: each query of the job, its micro-batches, its failures, and what the machine gives it."""

from typing import Final

from grafana.building import Board, Drawn, Row
from grafana.pipeline_trouble import JOB, QUERY, amounts, failures, machine, of
from grafana.questions import PromQL, quantile, rate
from grafana.shapes import lines, stat
from grafana.variables import OF_GRAFANA, PAGE, of_label

UID: Final = "scoreline-pipeline"

_NOBODY: Final = "no job is read"


def board() -> Board:
    """The board."""
    return Board(
        "pipeline-health",
        UID,
        "Pipeline health",
        "Each query of the job, its micro-batches, its failures, and what the machine gives it.",
        [
            Row(4, _figures()),
            Row(8, _flow(), "Does everything flow?"),
            Row(8, _micro_batches(), "Where does the time go?"),
            Row(8, failures(), "What fails?"),
            Row(8, amounts()),
            Row(8, machine(), "What does it take?"),
        ],
        [
            of_label("instance", "Job", "scoreline_job_start_time_seconds"),
            of_label("query", "Query", "scoreline_job_query_state"),
            PAGE,
        ],
        [OF_GRAFANA],
        refresh="15s",
        since="now-1h",
    )


def _stat(title: str, description: str, expr: str, unit: str = "short", **more: object) -> Drawn:
    settings: dict[str, object] = {"no_value": _NOBODY, "width": 4} | more
    return stat(title, description, PromQL(expr), unit, **settings)  # type: ignore[arg-type]


def _figures() -> list[Drawn]:
    return [
        _stat(
            "Queries that fail",
            "Queries that wait for their next attempt or finish nothing. Any: its cause is below and in `python "
            "-m jobs status`; detection goes on whatever happens to the others.",
            f"count(scoreline_job_query_failing_since_timestamp_seconds{JOB} > 0) or vector(0)",
            steps=((1, "red"),),
        ),
        _stat(
            "Oldest record not judged",
            "How long ago the oldest transaction came that detect has not read. From 10 s alerts are late; if it "
            "grows, see where the time goes below.",
            'max(scoreline_job_lag_seconds{instance=~"$instance", query="detect"})',
            "s",
            steps=((10, "orange"), (60, "red")),
            decimals=1,
        ),
        _stat(
            "Latency p99",
            "99 of 100 scores left within this time, over the last minutes.",
            quantile(0.99, "scoreline_job_score_latency_seconds", JOB),
            "s",
            steps=((2, "orange"), (10, "red")),
            decimals=2,
        ),
        _stat(
            "Kafka",
            "Whether Kafka answered the job when it was last asked. No: nothing can be judged; the job goes on by "
            "itself when it is back.",
            f"min(scoreline_job_kafka_up{JOB})",
            "bool_yes_no",
            first="red",
            steps=((1, "green"),),
        ),
        _stat(
            "Champion refused",
            "1 while the registry's champion can't be loaded and the model before it judges. The job's log names "
            "the reason; promote another version, or roll back.",
            f"max(scoreline_job_model_refused{JOB})",
            "bool_yes_no",
            steps=((1, "red"),),
        ),
        _stat(
            "Up since",
            "When the job started. Just now, though nobody started it: it was killed; look for the reason at the "
            "end of its log.",
            f"max(scoreline_job_start_time_seconds{JOB}) * 1000",
            "dateTimeFromNow",
            first="text",
            color_mode="none",
            decimals=None,
            least=None,
        ),
    ]


def _flow() -> list[Drawn]:
    return [
        lines(
            "Records by query",
            "Records a second that each query's finished micro-batches read. One line at 0 while others move: "
            "that query stands still.",
            (PromQL(rate("scoreline_job_records_total", QUERY, "query"), "{{query}}"),),
            "suffix: /s",
            width=8,
        ),
        lines(
            "Lag by query",
            "Records that each query has not read yet. detect's is what alerts wait for; of publish, archive and "
            "the others it is panels and tables that are late.",
            (PromQL(of("scoreline_job_lag_records", QUERY, "query"), "{{query}}"),),
            width=8,
        ),
        lines(
            "Latency, transaction to score",
            "From Kafka timestamp to Kafka timestamp. Above the red line alerts come too late to act on.",
            (
                PromQL(quantile(0.5, "scoreline_job_score_latency_seconds", JOB), "p50"),
                PromQL(quantile(0.95, "scoreline_job_score_latency_seconds", JOB), "p95"),
                PromQL(quantile(0.99, "scoreline_job_score_latency_seconds", JOB), "p99"),
            ),
            "s",
            width=8,
            decimals=2,
            fill=0,
            steps=((2, "orange"), (10, "red")),
        ),
    ]


def _micro_batches() -> list[Drawn]:
    stages = "scoreline_job_micro_batch_stage_seconds_total"
    return [
        lines(
            "Micro-batches",
            "How long 95 of 100 micro-batches took, from planning to commit. detect's is most of the latency.",
            (PromQL(quantile(0.95, "scoreline_job_micro_batch_duration_seconds", QUERY, "query"), "{{query}} p95"),),
            "s",
            decimals=2,
            fill=0,
        ),
        lines(
            "Stages of detect",
            "Of each second, how long detect's micro-batches were in each of Spark's stages. addBatch is the work "
            "itself; if walCommit or commitOffsets grows, the checkpoint's disk is slow; if latestOffset, Kafka "
            "is.",
            (PromQL(rate(stages, '{instance=~"$instance", query="detect"}', "stage"), "{{stage}}"),),
            "percentunit",
            stacked=True,
            fill=40,
        ),
    ]
