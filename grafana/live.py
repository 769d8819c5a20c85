"""Live detection: does the job keep up, and what does it flag?"""

from typing import Final

from grafana.building import Board, Drawn, Row
from grafana.live_alerts import ALERTS, SEGMENT, UID, amounts, by, highest, latest, scores
from grafana.questions import BY_TIME, InfluxQL, influx
from grafana.shapes import fixed, lines, stat, timeline
from grafana.variables import OF_GRAFANA, PAGE, annotation, of_tag
from jobs.publish_points import ALERT
from jobs.score_sums import SCORES
from jobs.throughput import MEASUREMENT as THROUGHPUT

_LAG: Final = ((5_000, "orange"), (30_000, "red"))
_LATENCY: Final = ((2_000, "orange"), (10_000, "red"))
_SHARE: Final = ((1.5, "orange"), (5, "red"))


def board() -> Board:
    """The board."""
    return Board(
        "live-detection",
        UID,
        "Live detection",
        "Does the job keep up, and what does it flag?",
        [
            Row(4, _figures()),
            Row(8, _speed(), "Is the job keeping up?"),
            Row(7, _trouble()),
            Row(9, scores(), "What does it flag? (for the chosen category, channel and country)"),
            Row(9, [by("merchant_category", "merchant category"), by("country", "country")]),
            Row(8, amounts()),
            Row(10, [highest()]),
            Row(10, [latest()]),
        ],
        [
            of_tag("merchant_category", "Merchant category", SCORES),
            of_tag("channel", "Channel", SCORES),
            of_tag("country", "Country", ALERT),
            PAGE,
        ],
        [
            OF_GRAFANA,
            annotation(
                "Model changed",
                f'SELECT "step" FROM (SELECT difference("model_version") AS "step" FROM "{THROUGHPUT}" WHERE $timeFilter) '
                'WHERE "step" != 0',
                "step",
                "purple",
            ),
        ],
    )


def _asked(select: str, by: str = "", alias: str = "") -> InfluxQL:
    return InfluxQL(influx(select, THROUGHPUT, by=by), alias)


def _figures() -> list[Drawn]:
    alerted = 'sum("alerts")'
    return [
        stat(
            "Newest judgement",
            "How long ago the newest published micro-batch was read from Kafka. A minute or more while "
            "transactions arrive: the job, or publish, stands still. Then look at `python -m jobs status` and at "
            "Pipeline health.",
            InfluxQL(influx('last("scored")', THROUGHPUT), result_format="table"),
            "dateTimeFromNow",
            fields="/^Time$/",
            color_mode="none",
            first="text",
            decimals=None,
            least=None,
            no_value="nothing in this range",
        ),
        stat(
            "Lag",
            "Transactions on Kafka that are not judged yet. Orange from 5,000 (ten seconds at 500/s), red from "
            "30,000 (a minute). If it grows, more arrive than one machine judges: see Pipeline health for the "
            "stage that takes long.",
            _asked('last("lag")', BY_TIME),
            steps=_LAG,
            graph=True,
        ),
        stat(
            "Latency p99",
            "99 of 100 judgements left within this time: Kafka timestamp of the score minus that of the "
            "transaction. Orange from 2 s, red from 10 s. High with a high lag: the job catches up; high without: "
            "micro-batches are long.",
            _asked('max("latency_p99_ms")', BY_TIME),
            "ms",
            steps=_LATENCY,
            graph=True,
            decimals=1,
        ),
        stat(
            "Judged",
            "Transactions judged per second: those with a score and those that are dead letters. 0 with a lag: "
            "the job stands still; 0 without: nothing arrives, so ask the producer.",
            _asked('mean("rows_per_second")', BY_TIME),
            "suffix: /s",
            first="blue",
            graph=True,
        ),
        stat(
            "Alerts",
            "Alerts in the chosen time range, for the chosen category, channel and country. Many at once from one "
            "of them: see the bars below, and the cases on the analyst's page.",
            InfluxQL(influx('count("anomaly_score")', ALERT, *ALERTS)),
            calc="sum",
            first="blue",
            least=None,
        ),
        stat(
            "Alert share",
            "Share of all scored transactions that became an alert, for the chosen category and channel. The "
            "model is trained for a budget (0.5 % unless told otherwise): far above it, either an attack or a "
            "model that no longer fits. If the alerts are of one merchant or customer, it is an attack; if they "
            "are of all, look at Model quality and drift.",
            InfluxQL(influx(f'100 * {alerted} / sum("scored") AS "share"', SCORES, *SEGMENT)),
            "percent",
            steps=_SHARE,
            decimals=2,
            least=None,
        ),
        stat(
            "Dead letters",
            "Messages in the chosen time range that are no valid transaction. Each is whole, with its reason, on "
            "the topic transactions.invalid. Many of one reason: a producer has changed; by reason they are on "
            "Pipeline health.",
            _asked('sum("invalid")'),
            calc="sum",
            steps=((1, "orange"), (1_000, "red")),
            least=None,
        ),
        stat(
            "Model",
            "Version of the model that judged the newest micro-batch. Another one than the registry's champion "
            "for a minute or more: the job refuses it, and its log says why.",
            _asked('last("model_version")'),
            "prefix:v",
            first="blue",
            least=None,
        ),
    ]


def _speed() -> list[Drawn]:
    return [
        lines(
            "Scored against input",
            "Transactions that arrived on Kafka, and those that were scored. The lines lie on each other; input "
            "above scored is lag that grows or dead letters, scored above input is catching up. The newest point "
            "is still filling.",
            (
                _asked('sum("input") * 1000 / $__interval_ms', BY_TIME, "input"),
                _asked('sum("scored") * 1000 / $__interval_ms', BY_TIME, "scored"),
            ),
            "suffix: /s",
            overrides={"input": fixed("#8e9aa8", lineWidth=5, fillOpacity=0), "scored": fixed("blue")},
        ),
        lines(
            "Latency, transaction to score",
            "From Kafka timestamp to Kafka timestamp. p50 is the mean over the micro-batches of an interval, p95 "
            "and p99 are those of its slowest micro-batch. Above the red line, alerts come too late to act on: "
            "see Pipeline health.",
            (
                _asked('mean("latency_p50_ms")', BY_TIME, "p50"),
                _asked('max("latency_p95_ms")', BY_TIME, "p95"),
                _asked('max("latency_p99_ms")', BY_TIME, "p99"),
            ),
            "ms",
            steps=_LATENCY,
            fill=0,
            overrides={"p50": fixed("light-blue"), "p95": fixed("blue"), "p99": fixed("purple")},
        ),
    ]


def _trouble() -> list[Drawn]:
    return [
        lines(
            "Lag over time",
            "Transactions on Kafka that are not judged yet: the most in each interval. A line that keeps climbing "
            "means that the job is slower than its input: give it more cores, or find the slow stage on Pipeline "
            "health.",
            (_asked('max("lag")', BY_TIME, "waiting"),),
            steps=_LAG,
            width=8,
            overrides={"waiting": fixed("blue", fillOpacity=20)},
        ),
        lines(
            "Dead letters and late events",
            "Messages that are no valid transaction, and transactions that are older than their customer's latest "
            "one (those are scored and marked). A burst of dead letters: read some of transactions.invalid, and "
            "ask their producer.",
            (_asked('sum("invalid")', BY_TIME, "dead letters"), _asked('sum("late")', BY_TIME, "late")),
            bars=True,
            width=8,
            overrides={"dead letters": fixed("orange"), "late": fixed("#8e9aa8")},
        ),
        timeline(
            "Model version",
            "Which version of the model judged. A change is a promotion or a rollback; a gap is a time without "
            "judgements. Did alerts change with it? Then compare the versions on Model quality and drift.",
            (_asked('last("model_version")', BY_TIME, "model"),),
            "prefix:v",
            width=8,
        ),
    ]
