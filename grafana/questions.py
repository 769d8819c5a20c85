"""The queries of a panel, in InfluxQL and PromQL, as Grafana's data sources know them."""

from dataclasses import dataclass
from typing import Any, Final

from grafana_foundation_sdk.builders import prometheus
from grafana_foundation_sdk.cog.variants import Dataquery
from grafana_foundation_sdk.models.dashboard import DataSourceRef

INFLUXDB: Final = DataSourceRef("influxdb", "scoreline-influxdb")
PROMETHEUS: Final = DataSourceRef("prometheus", "scoreline-prometheus")

BY_TIME: Final = "GROUP BY time($__interval) fill(null)"
"""Without a fill, a gap is drawn as a slope."""
BY_TIME_FROM_0: Final = "GROUP BY time($__interval) fill(0)"


@dataclass
class InfluxQL(Dataquery):
    """One query; `alias`: what its series is called."""

    query: str
    alias: str = ""
    result_format: str = "time_series"
    ref_id: str = "A"

    def to_json(self) -> dict[str, Any]:
        """As Grafana's InfluxDB data source has it, of which the SDK knows nothing."""
        named = {"alias": self.alias} if self.alias else {}
        return {
            "datasource": INFLUXDB.to_json(),
            "refId": self.ref_id,
            "rawQuery": True,
            "resultFormat": self.result_format,
            "query": self.query,
            **named,
        }


@dataclass
class PromQL(Dataquery):
    """One query; `legend`: what each of its series is called. instant: of the end of the range alone, as a table."""

    expr: str
    legend: str = ""
    instant: bool = False
    ref_id: str = "A"

    def to_json(self) -> dict[str, Any]:
        """As Grafana's Prometheus data source has it."""
        query = prometheus.Dataquery().expr(self.expr).ref_id(self.ref_id).datasource(PROMETHEUS)
        query = query.instant() if self.instant else query.range()
        return query.legend_format(self.legend or "__auto").build().to_json()


Question = InfluxQL | PromQL


def lettered(questions: "tuple[Question, ...]") -> list[Question]:
    """With a letter each, as Grafana tells the queries of a panel apart."""
    for number, question in enumerate(questions):
        question.ref_id = chr(ord("A") + number)
    return list(questions)


def influx(select: str, measurement: str, *conditions: str, by: str = "") -> str:
    """A query of the chosen time range.

    >>> influx('sum("scored")', "throughput", by='GROUP BY "x"')
    'SELECT sum("scored") FROM "throughput" WHERE $timeFilter GROUP BY "x"'
    """
    return " ".join(
        filter(None, [f'SELECT {select} FROM "{measurement}" WHERE', " AND ".join(["$timeFilter", *conditions]), by])
    )


def chosen(*tags: str) -> tuple[str, ...]:
    """Conditions that narrow to what a person has chosen of some variables, which are called as their tags.

    >>> chosen("channel")
    ('"channel" =~ /^${channel:regex}$/',)
    """
    return tuple(f'"{tag}" =~ /^${{{tag}:regex}}$/' for tag in tags)


RATE: Final = "[$__rate_interval]"


def rate(metric: str, labels: str, by: str = "") -> str:
    """A counter's growth a second, over all that was chosen or by some labels.

    >>> rate("scoreline_records_total", "{}", "route")
    'sum by (route) (rate(scoreline_records_total{}[$__rate_interval]))'
    """
    return f"sum{by and f' by ({by}) '}(rate({metric}{labels}{RATE}))"


def quantile(share: float, histogram: str, labels: str, by: str = "") -> str:
    """The value that a share of what a histogram counted doesn't exceed."""
    more = f", {by}" if by else ""
    return f"histogram_quantile({share}, sum by (le{more}) (rate({histogram}_bucket{labels}{RATE})))"
