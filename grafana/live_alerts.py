"""What is flagged: the panels of scores and alerts of the board Live detection."""

from typing import Final

from grafana.building import Drawn, Overrides
from grafana.questions import BY_TIME, BY_TIME_FROM_0, InfluxQL, chosen, influx
from grafana.shapes import fixed, heat_map, lines, most_first, table
from jobs.publish_points import ALERT
from jobs.score_sums import AMOUNTS, BINS, SCORES, bin_name

UID: Final = "scoreline-live"

SEGMENT: Final = chosen("channel", "merchant_category")
ALERTS: Final = chosen("channel", "merchant_category", "country")


def scores() -> list[Drawn]:
    """What the model gave, and what it alerted, over time."""
    bins = ", ".join(f'sum("{bin_name(number)}") AS "{number / BINS:g}"' for number in range(BINS))
    return [
        heat_map(
            "Anomaly scores",
            "Where the anomaly scores of all transactions lie, in steps of 1/32, by category and channel. A band "
            "that moves without a new model means that traffic has changed: look at the drift on Model quality "
            "and drift.",
            InfluxQL(influx(bins, SCORES, *SEGMENT, by=BY_TIME), "$col"),
        ),
        lines(
            "Alerts per minute",
            "Alerts as they left, per minute. A step up that stays, with no new model: an attack, or a change in "
            "traffic. The bars below say where it comes from.",
            (
                InfluxQL(
                    influx('count("anomaly_score") * 60000 / $__interval_ms', ALERT, *ALERTS, by=BY_TIME_FROM_0),
                    "alerts",
                ),
            ),
            "suffix: /min",
            bars=True,
            overrides={"alerts": fixed("orange")},
        ),
    ]


def by(tag: str, words: str) -> Drawn:
    """Alerts by a tag, which a click chooses."""
    of = " by the merchant's country" if tag == "country" else ""
    link = {
        "title": f"Show only ${{__data.fields.{tag}}}",
        "targetBlank": False,
        "url": f"/d/{UID}?${{__url_time_range}}&var-{tag}=${{__data.fields.{tag}}}",
    }
    return most_first(
        f"Alerts by {words}",
        f"Alerts in the chosen time range{of}, most first (15 at most). A click narrows the board to that {words.split()[-1]}.",
        InfluxQL(
            influx('count("anomaly_score") AS "alerts"', ALERT, *ALERTS, by=f'GROUP BY "{tag}"'), result_format="table"
        ),
        "alerts",
        links=[link],
    )


def amounts() -> list[Drawn]:
    """What the alerts come to."""
    each = 'GROUP BY time($__interval), "currency" fill(0)'
    both = 'sum("amount_alerted") AS "alerted", sum("amount") AS "scored"'
    return [
        lines(
            "Amount in alerts",
            "What the alerted payments of each interval come to, by currency, as they were paid. A step up with "
            "few alerts: someone tries large amounts; sort the queue on the analyst's page by exposure.",
            (InfluxQL(influx('sum("amount_alerted")', AMOUNTS, by=each), "$tag_currency"),),
            bars=True,
            stacked=True,
        ),
        most_first(
            "Amount by currency",
            "What the alerted payments of the chosen time range come to, by currency, most first. One that you do "
            "not trade in: ask "
            'the producer; "other" holds those after the first 300.',
            InfluxQL(influx(both, AMOUNTS, by='GROUP BY "currency"'), result_format="table"),
            "alerted",
        ),
    ]


_TEXT: Final[Overrides] = {
    "Time": {"unit": "time:HH:mm:ss", "custom.width": 90},
    "score": {"unit": "none", "decimals": 3, "custom.width": 80}
    | fixed("orange")
    | {"custom.cellOptions": {"type": "color-text"}},
    "threshold": {"unit": "none", "decimals": 3, "custom.width": 90},
    "amount": {"unit": "none", "decimals": 2, "custom.width": 100},
    "customer": {
        "custom.width": 140,
        "links": [
            {
                "title": "Cases of ${__value.text} on the analyst's page",
                "targetBlank": True,
                "url": "${page:raw}/?customer=${__value.text:percentencode}",
            }
        ],
    },
    "category": {"custom.width": 130},
    "country": {"custom.width": 80},
    "channel": {"custom.width": 100},
    "transaction": {"custom.width": 160},
    "model": {"unit": "prefix:v", "decimals": 0, "custom.width": 70},
}
_COLUMNS: Final = (
    '"threshold", "amount", "customer_id" AS "customer", "merchant_category" AS "category", "country", "channel", "reasons", '
    '"transaction_id" AS "transaction", "model_version" AS "model"'
)


def highest() -> Drawn:
    """The highest alerts of the range."""
    return table(
        "Highest alerts",
        "The 20 alerts with the highest anomaly score in the chosen time range. Reasons: the features farthest "
        "outside the range that 98 % of the training transactions lie in. A click on a customer opens the cases "
        "on the analyst's page.",
        InfluxQL(influx(f'top("anomaly_score", 20) AS "score", {_COLUMNS}', ALERT, *ALERTS), result_format="table"),
        _TEXT,
        "score",
        no_value="no alert in this range",
    )


def latest() -> Drawn:
    """The newest alerts."""
    return table(
        "Latest alerts",
        "The 20 newest alerts in the chosen time range, newest first. A click on a customer opens the cases on "
        "the analyst's page.",
        InfluxQL(
            influx(f'"anomaly_score" AS "score", {_COLUMNS}', ALERT, *ALERTS, by="ORDER BY time DESC LIMIT 20"),
            result_format="table",
        ),
        _TEXT,
        "Time",
        no_value="no alert in this range",
    )
