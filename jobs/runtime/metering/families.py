"""Each metric of a job, declared once: its name, its kind, its labels and what it means."""

from typing import Final, Literal, NamedTuple


class Family(NamedTuple):
    """A metric by its labels. buckets: of a histogram, the upper bounds in seconds.

    The name is what is on the page: a counter's ends with `_total`.
    """

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    words: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()


_SECONDS: Final = (0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 7.5, 10.0, 15.0, 30.0, 60.0, 300.0, 3600.0)

MOST_SETS: Final = 200
"""So many sets of label values a family has at most; what would be one more is counted as "other"."""

OTHER: Final = "other"

FAMILIES: Final = (
    records := Family(
        "scoreline_job_records_total",
        "counter",
        "Records that the query's finished micro-batches read from Kafka; one that was read twice counts twice.",
        ("query",),
    ),
    micro_batches := Family(
        "scoreline_job_micro_batches_total",
        "counter",
        "Micro-batches with records that the query finished.",
        ("query",),
    ),
    micro_batch_duration := Family(
        "scoreline_job_micro_batch_duration_seconds",
        "histogram",
        "How long a micro-batch with records took, from its planning to its commit.",
        ("query",),
        _SECONDS,
    ),
    stage_seconds := Family(
        "scoreline_job_micro_batch_stage_seconds_total",
        "counter",
        "How long micro-batches with records were in each of Spark's stages.",
        ("query", "stage"),
    ),
    failures := Family(
        "scoreline_job_query_failures_total",
        "counter",
        "Failures of the query, after each of which it is started again, by the known cause.",
        ("query", "cause"),
    ),
    scores := Family("scoreline_job_scores_total", "counter", "Scores that detect wrote, as publish reads them."),
    alerts := Family("scoreline_job_alerts_total", "counter", "Those of the scores that are alerts."),
    late := Family("scoreline_job_late_scores_total", "counter", "Those of the scores that are of late events."),
    currency_unknown := Family(
        "scoreline_job_unknown_currency_scores_total",
        "counter",
        "Those of the scores whose currency the rates lack.",
    ),
    extras_refused := Family(
        "scoreline_job_refused_extras_scores_total", "counter", "Those of the scores some of whose extras were refused."
    ),
    score_latency := Family(
        "scoreline_job_score_latency_seconds",
        "histogram",
        "From a transaction's Kafka time to that of its score, which has that of its alert.",
        (),
        _SECONDS,
    ),
    amount := Family(
        "scoreline_job_amount_total",
        "counter",
        "Sum of the scored amounts, as they were paid, by currency; of one payment at most 1e12.",
        ("currency",),
    ),
    alert_amount := Family(
        "scoreline_job_alert_amount_total", "counter", "Those of the amounts whose score is an alert.", ("currency",)
    ),
    dead_letters := Family(
        "scoreline_job_dead_letters_total",
        "counter",
        "Dead letters, as publish reads them, by kind of reason.",
        ("reason",),
    ),
    unreadable := Family(
        "scoreline_job_unreadable_records_total",
        "counter",
        "Records on the topic of scores that publish left out, since they are none.",
    ),
    arrived := Family(
        "scoreline_job_transactions_arrived_total",
        "counter",
        "Offsets by which the topic of transactions has grown since the job looked first.",
    ),
    lag_records := Family(
        "scoreline_job_lag_records",
        "gauge",
        "Records that the query has not read yet, at most: by offsets, some of which marks of transactions may have.",
        ("query",),
    ),
    lag_seconds := Family(
        "scoreline_job_lag_seconds",
        "gauge",
        "How long ago the oldest record came that the query has not read; at most since the job's start.",
        ("query",),
    ),
    kafka_up := Family(
        "scoreline_job_kafka_up", "gauge", "Whether Kafka answered when it was last asked for its ends."
    ),
    state := Family(
        "scoreline_job_query_state",
        "gauge",
        "1 for the state that the query is in, 0 for the others.",
        ("query", "state"),
    ),
    failing_since := Family(
        "scoreline_job_query_failing_since_timestamp_seconds",
        "gauge",
        "Since when the query fails or finishes nothing; 0 while it is well.",
        ("query",),
    ),
    attempts := Family(
        "scoreline_job_query_attempts", "gauge", "How often the query has failed since its last progress.", ("query",)
    ),
    last_commit := Family(
        "scoreline_job_last_commit_timestamp_seconds",
        "gauge",
        "When the query committed a micro-batch last.",
        ("query",),
    ),
    state_rows := Family(
        "scoreline_job_state_rows", "gauge", "Rows of the query's state, as Spark counts them.", ("query",)
    ),
    state_bytes := Family(
        "scoreline_job_state_memory_bytes", "gauge", "Memory that the query's state takes.", ("query",)
    ),
    model_info := Family(
        "scoreline_job_model_info", "gauge", "1 for the model that judges.", ("model_name", "model_version")
    ),
    model_version := Family("scoreline_job_model_version", "gauge", "Version of the model that judges."),
    threshold_version := Family(
        "scoreline_job_threshold_version", "gauge", "Version of the table of thresholds; 0 for the model's own."
    ),
    profile_version := Family(
        "scoreline_job_profile_version", "gauge", "Version of the profiles; 0 where none are used."
    ),
    alert_budget := Family(
        "scoreline_job_alert_budget_ratio", "gauge", "The share of transactions that the model's threshold alerts."
    ),
    model_refused := Family(
        "scoreline_job_model_refused",
        "gauge",
        "1 while the registry's champion is refused, and the model before it judges.",
    ),
    cpu := Family(
        "scoreline_job_process_cpu_seconds_total",
        "counter",
        "CPU time of the driver's Python, of its Java, and of Spark's Python workers together.",
        ("process",),
    ),
    memory := Family(
        "scoreline_job_process_resident_memory_bytes", "gauge", "Resident memory of these processes.", ("process",)
    ),
    processes := Family("scoreline_job_processes", "gauge", "How many of these processes there are.", ("process",)),
    disk_free := Family(
        "scoreline_job_checkpoint_disk_free_bytes", "gauge", "Free room on the disk of a local checkpoint."
    ),
    started := Family("scoreline_job_start_time_seconds", "gauge", "When the job started."),
)

STATES: Final = ("starting", "running", "failing", "stalled", "stopped", "ended")
STAGES: Final = (
    *("addBatch", "commitBatch", "commitOffsets", "getBatch", "latestOffset", "queryPlanning", "walCommit"),
    OTHER,
)


def as_markdown() -> str:
    """All metrics as the table in docs/monitoring.md."""
    lines = ["| metric | kind | labels | what it is |", "| --- | --- | --- | --- |"]
    for family in FAMILIES:
        labels = ", ".join(f"`{label}`" for label in family.labels)
        lines.append(f"| `{family.name}` | {family.kind} | {labels} | {family.words} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(as_markdown())
