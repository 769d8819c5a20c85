"""What a panel is answered: its series, from a running InfluxDB or Prometheus, for pictures of dashboards."""

import re
from dataclasses import dataclass
from typing import Any, Final

import urllib3

from grafana.asking import Query, QueryFailed, Span, run

_SAMPLES: Final = 120
"""Of a series of Prometheus, in the whole range."""
_SCRAPE_MS: Final = 15_000
_LABEL: Final = re.compile(r"\{\{(\w+)\}\}")
_TAG: Final = re.compile(r"\$tag_(\w+)")


@dataclass(frozen=True)
class Servers:
    """Where they answer. database: InfluxQL's name. token: InfluxDB's, "user:password" for 1.8."""

    influxdb: str
    database: str
    prometheus: str
    token: str = ""


@dataclass(frozen=True)
class Series:
    """One series: its name, and its values at times, ms since the epoch."""

    name: str
    times: list[float]
    values: list[float]


def rows_of(panel: dict[str, Any], servers: Servers, board: str, span: Span) -> list[dict[str, Any]]:
    """The rows of a table's answer. Raises `QueryFailed`."""
    [target] = panel["targets"]
    query = _query(panel, target, board, span)
    if query.source == "influxdb":
        return run(query, servers.influxdb, servers.database, span, token=servers.token)
    found = _asked(query, servers, "query", time=str(span.end / 1000))
    return [each["metric"] | {"Value": float(each["value"][1])} for each in found]


def series_of(panel: dict[str, Any], servers: Servers, board: str, span: Span) -> list[Series]:
    """The series of a panel's answers, named as Grafana names them. Raises `QueryFailed`."""
    found = []
    for target in panel["targets"]:
        query = _query(panel, target, board, span)
        if query.source == "influxdb":
            found += _by_name(run(query, servers.influxdb, servers.database, span, token=servers.token), target)
        else:
            found += _ranges(query, target, servers, span)
    return found


def _query(panel: dict[str, Any], target: dict[str, Any], board: str, span: Span) -> Query:
    source = panel["datasource"]["type"]
    text = target["query"] if source == "influxdb" else target["expr"]
    number, unit = re.fullmatch(r"(\d+)(ms|s|m)", panel.get("interval", "5s")).groups()  # type: ignore[union-attr]
    least = int(number) * {"ms": 1, "s": 1_000, "m": 60_000}[unit]
    interval = max(least, (span.end - span.begin) // _SAMPLES)
    return Query("panel", f"panel {panel['title']!r}", text, interval, board, source)


def _by_name(rows: list[dict[str, Any]], target: dict[str, Any]) -> list[Series]:
    """Columns that are numbers, one series each, or one a group where the alias names a tag."""
    found: dict[str, Series] = {}
    for row in rows:
        for column, value in row.items():
            if column == "time" or not isinstance(value, int | float):
                continue
            alias = _TAG.sub(lambda tag, row=row: str(row.get(tag[1], "")), target.get("alias", ""))  # type: ignore[misc]
            alias = alias.replace("$col", column)
            series = found.setdefault(alias or column, Series(alias or column, [], []))
            series.times.append(row["time"])
            series.values.append(value)
    return list(found.values())


def _ranges(query: Query, target: dict[str, Any], servers: Servers, span: Span) -> list[Series]:
    step = max((span.end - span.begin) / _SAMPLES, _SCRAPE_MS) / 1000
    times = {"start": str(span.begin / 1000), "end": str(span.end / 1000), "step": f"{step:.3f}"}
    legend = target.get("legendFormat", "")
    found = []
    for each in _asked(query, servers, "query_range", **times):
        labels = each["metric"]
        name = _LABEL.sub(lambda label, labels=labels: str(labels.get(label[1], "")), legend)  # type: ignore[misc]
        values = [(1000 * at, float(value)) for at, value in each["values"] if value != "NaN"]
        if values:
            found.append(Series(name, [at for at, _ in values], [value for _, value in values]))
    return found


def _asked(query: Query, servers: Servers, path: str, **parameters: str) -> list[dict[str, Any]]:
    text = query.text.replace("$__rate_interval", f"{4 * _SCRAPE_MS // 1000}s")
    text = re.sub(r"\$(instance|query|route)\b", ".*", text)
    fields = parameters | {"query": text}
    try:
        answer = urllib3.request("GET", f"{servers.prometheus}/api/v1/{path}", fields=fields, timeout=10, retries=False)
    except urllib3.exceptions.HTTPError as error:
        raise QueryFailed(f"{query.place}: Prometheus at {servers.prometheus} does not answer ({error})") from error
    body = answer.json()
    if body["status"] != "success":
        raise QueryFailed(f"{query.place}: Prometheus answered {body['error']} to {text}")
    return body["data"]["result"]  # type: ignore[no-any-return]
