"""Model quality and drift: what the labels say of the judgements, and whether traffic is still what the model knows."""

from typing import Final

from grafana.building import Board, Drawn, Row
from grafana.questions import InfluxQL, chosen, influx
from grafana.shapes import fixed, lines, most_first, stat, table
from grafana.variables import OF_GRAFANA, PAGE, of_tag
from lake.drift_report import MEASUREMENT as DRIFT
from lake.quality_report import MEASUREMENT as QUALITY

UID: Final = "scoreline-quality"

_MODEL: Final = chosen("model_name", "model_version")
_OF_MODEL: Final = 'GROUP BY time(1d), "model_version" fill(none)'
_NOTHING: Final = "no point in this range: run scoreline quality or drift with --influxdb, or start the watcher"


def board() -> Board:
    """The board."""
    return Board(
        "model-quality",
        UID,
        "Model quality and drift",
        "How good are the judgements, as labels come, and is traffic still what the model was trained on? By "
        "event time.",
        [
            Row(4, _figures()),
            Row(
                9,
                _shares(),
                "How good are the judgements? (by day of transaction; new days are estimates until their labels come)",
            ),
            Row(8, _counts()),
            Row(9, _drift(), "Is traffic still what the model was trained on?"),
            Row(10, [_comparisons()]),
        ],
        [of_tag("model_name", "Model", QUALITY), of_tag("model_version", "Version", QUALITY), PAGE],
        [OF_GRAFANA],
        refresh="1m",
        since="now-30d",
    )


def _of_days(field: str, alias: str, scale: str = "") -> InfluxQL:
    return InfluxQL(influx(f'last("{field}"){scale}', QUALITY, *_MODEL, by=_OF_MODEL), alias)


def _newest(title: str, description: str, select: str, unit: str = "percentunit", **more: object) -> Drawn:
    settings: dict[str, object] = {"decimals": 1, "width": 4, "no_value": "no label yet"} | more
    return stat(title, description, InfluxQL(influx(select, QUALITY, *_MODEL)), unit, **settings)  # type: ignore[arg-type]


def _figures() -> list[Drawn]:
    return [
        _newest(
            "Precision",
            "Of the alerts of the chosen days, the share that labels call fraud (known ones alone: it grows while "
            "labels come). Much lower than at training: raise the threshold, or train again.",
            'sum("known_caught") / sum("alerts") AS "precision"',
            steps=((0.2, "green"),),
            first="orange",
        ),
        _newest(
            "Recall",
            "Of the frauds that are known of the chosen days, the share that was alerted. It is too high on new "
            "days, since analysts look at alerts first: the line below is corrected for that.",
            'sum("known_caught") / sum("known_frauds") AS "recall"',
            steps=((0.4, "green"),),
            first="orange",
        ),
        _newest(
            "Saved",
            "What the alerted frauds of the chosen days came to, as far as labels say so.",
            'sum("known_amount_saved") AS "saved"',
            "short",
            first="blue",
            decimals=0,
        ),
        _newest(
            "Lost",
            "What the frauds came to that were not alerted, as far as labels say so. If one kind of payment makes "
            "up most of it, it is a pattern that the model does not know: label it, and train again.",
            'sum("known_amount_lost") AS "lost"',
            "short",
            first="orange",
            decimals=0,
        ),
        _newest(
            "Newest day",
            "The newest day that has a figure. Older than a day while transactions come: nobody runs `scoreline "
            "quality --influxdb`.",
            'last("transactions")',
            "dateTimeFromNow",
            fields="/^Time$/",
            first="text",
            color_mode="none",
            decimals=None,
            least=None,
        ),
        stat(
            "Drift alarms",
            "Comparisons of the newest windows that are alarms. Any: the rows below say of what, against what, "
            "and how large. A drift is no fault of the model by itself; if precision or the alert share moves "
            "with it, train again.",
            InfluxQL(influx('count("p") AS "alarms"', DRIFT, *_MODEL, '"is_alarm" = true')),
            calc="sum",
            width=4,
            steps=((1, "red"),),
            least=None,
            no_value="0",
        ),
    ]


def _shares() -> list[Drawn]:
    colors = {"fill": 0, "points": "always", "interval": None, "least": 0.0}
    return [
        lines(
            "Precision by day",
            "Estimated precision of each day, by version of the model, corrected for the labels that are still to "
            "come. A version that stays below the one before it: promote that one again (`scoreline rollback`).",
            (_of_days("precision", "v$tag_model_version"),),
            "percentunit",
            width=8,
            **colors,  # type: ignore[arg-type]
        ),
        lines(
            "Recall by day",
            "Estimated recall of each day, by version, of the frauds that get reported. A slow fall is drift; a "
            "step down after a promotion is the new model.",
            (_of_days("recall", "v$tag_model_version"),),
            "percentunit",
            width=8,
            **colors,  # type: ignore[arg-type]
        ),
        lines(
            "How ripe the days are",
            "Of each day's frauds, the share that is known by now. Below a half, the figures beside are mostly "
            "estimates: wait, before anything is decided by them.",
            (_of_days("ripeness", "v$tag_model_version"),),
            "percentunit",
            width=8,
            **colors,  # type: ignore[arg-type]
        ),
    ]


def _counts() -> list[Drawn]:
    return [
        lines(
            "Frauds known, and those alerted",
            "Labels of fraud by day of transaction, and how many of these were alerted. No new ones for days: "
            "labels do not arrive, so nothing here is known; ask who sends them.",
            (
                InfluxQL(
                    influx('sum("known_frauds")', QUALITY, *_MODEL, by="GROUP BY time(1d) fill(0)"), "known frauds"
                ),
                InfluxQL(influx('sum("known_caught")', QUALITY, *_MODEL, by="GROUP BY time(1d) fill(0)"), "alerted"),
            ),
            bars=True,
            interval=None,
            overrides={"known frauds": fixed("#8e9aa8"), "alerted": fixed("orange")},
        ),
        lines(
            "Alerts by day",
            "Alerts of each day, by version. Twice as many as usual for days: the budget no longer holds; "
            "adaptive thresholds keep it.",
            (_of_days("alerts", "v$tag_model_version"),),
            bars=True,
            stacked=True,
            interval=None,
        ),
    ]


def _drift() -> list[Drawn]:
    return [
        lines(
            "Drift of the scores",
            "PSI of the anomaly score's histogram against training and against last week, on each scale. Above "
            "0.2 traffic is another one than the model knows: see what moved, on the right.",
            (
                InfluxQL(
                    influx(
                        'max("psi")',
                        DRIFT,
                        *_MODEL,
                        "\"what\" = 'anomaly_score'",
                        by='GROUP BY time($__interval), "against", "scale" fill(none)',
                    ),
                    "$tag_scale, against $tag_against",
                ),
            ),
            "none",
            steps=((0.1, "orange"), (0.2, "red")),
            decimals=3,
            fill=0,
            points="always",
            interval="10m",
        ),
        most_first(
            "Most drifted",
            "The largest PSI of the chosen time range, by what drifted. A feature alone: has a producer changed a "
            "field? Many at once: customers behave otherwise (a holiday, a new product), or an attack.",
            InfluxQL(influx('max("psi") AS "psi"', DRIFT, *_MODEL, by='GROUP BY "what"'), result_format="table"),
            "psi",
            "none",
            decimals=3,
        ),
    ]


def _comparisons() -> Drawn:
    columns = (
        '"psi", "ratio", "rise", "jensen_shannon" AS "JS", "kolmogorov_smirnov" AS "KS", "p", '
        '"what", "against", "scale", "is_alarm"'
    )
    narrow = {
        name: {"unit": "none", "decimals": 3, "custom.width": 90} for name in ("psi", "ratio", "rise", "JS", "KS")
    }
    return table(
        "Newest comparisons",
        "Each comparison of a window with training or last week, the newest first: `is_alarm` where its drift was "
        "large, significant and lasting. docs/monitoring.md says how each figure is made.",
        InfluxQL(influx(columns, DRIFT, *_MODEL, by="ORDER BY time DESC LIMIT 50"), result_format="table"),
        {"Time": {"unit": "time:YYYY-MM-DD HH:mm", "custom.width": 150}, "p": {"unit": "sci", "custom.width": 90}}
        | narrow,
        "Time",
        no_value=_NOTHING,
    )
