"""The dashboards' queries as Grafana sends them, and their answers from a real InfluxDB and Prometheus."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import urlencode

import urllib3
import yaml

GRAFANA: Final = Path(__file__).parent
DASHBOARDS: Final = tuple(sorted((GRAFANA / "dashboards").glob("*.json")))
DATASOURCES: Final = GRAFANA / "provisioning" / "datasources"

_SPECIAL: Final = re.compile(r"[\\^$*+?.()|[\]{}/]")
_VARIABLE: Final = re.compile(r"\$\{(\w+)(?::(\w+))?\}|\$(\w+)")

Choice = Mapping[str, Sequence[str]]
"""Variable → the values that a person has chosen; a variable that is not in it stands at All."""


@dataclass(frozen=True)
class Query:
    """One query: `text` as it stands in the dashboard, `place` as a person would name where it stands."""

    kind: Literal["panel", "variable", "annotation"]
    place: str
    text: str
    interval_ms: int
    board: str = "live-detection"
    source: Literal["influxdb", "prometheus"] = "influxdb"


@dataclass(frozen=True)
class Span:
    """The chosen time range, milliseconds since the epoch, both ends included."""

    begin: int
    end: int


class QueryFailed(Exception):
    """A server refused a query, or does not answer; the text names the query's place and the reason."""


def dashboard(name: str = "live-detection") -> dict[str, Any]:
    return json.loads((GRAFANA / "dashboards" / f"{name}.json").read_text())  # type: ignore[no-any-return]


def names() -> list[str]:
    """The boards' names: their files' without the ending."""
    return [path.stem for path in DASHBOARDS]


def panels(name: str = "live-detection") -> list[dict[str, Any]]:
    """The panels that show data: all but the rows' headers."""
    return [panel for panel in dashboard(name)["panels"] if panel["type"] != "row"]


def datasource(kind: str = "influxdb") -> dict[str, Any]:
    """A provisioned data source."""
    [source] = yaml.safe_load((DATASOURCES / f"{kind}.yml").read_text())["datasources"]
    return source  # type: ignore[no-any-return]


def every_query() -> list[Query]:
    """Every query of every panel, template variable and annotation of the dashboards."""
    return [query for name in names() for query in (*_of_panels(name), *_of_variables(name), *_of_annotations(name))]


def influx_queries() -> list[Query]:
    return [query for query in every_query() if query.source == "influxdb"]


def sent(query: Query, span: Span, chosen: Choice | None = None) -> str:
    """The query with its variables substituted, as Grafana's InfluxDB data source does it.

    Grafana's back end knows `$timeFilter`, `$__interval` and `$__interval_ms` without braces only. Raises ValueError for
    a variable that neither Grafana nor the dashboard defines.
    """
    known = {
        "timeFilter": f"time >= {span.begin}ms and time <= {span.end}ms",
        "__interval": f"{query.interval_ms}ms",
        "__interval_ms": str(query.interval_ms),
    }
    variables = {variable["name"]: variable for variable in dashboard(query.board)["templating"]["list"]}

    def substitute(match: re.Match[str]) -> str:
        name = match[1] or match[3]
        if match[3] in known:
            return known[name]
        if name not in variables:
            raise ValueError(
                f"{query.place}: {match[0]} is no variable of the dashboard, nor of Grafana's InfluxDB data source"
            )
        return _in_regex(variables[name], (chosen or {}).get(name))

    return _VARIABLE.sub(substitute, query.text)


def run(
    query: Query, url: str, database: str, span: Span, *, token: str = "", chosen: Choice | None = None
) -> list[dict[str, Any]]:
    """The answer's rows that hold a value: column or tag → value; time in ms. Raises `QueryFailed`.

    `database` is InfluxQL's name (of InfluxDB 2, the one that is mapped to the bucket); `token` "user:password" for 1.8.
    """
    text = sent(query, span, chosen)
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    if token:
        headers["Authorization"] = f"Token {token}"
    form = urlencode({"db": database, "epoch": "ms", "q": text})
    answer = urllib3.request("POST", f"{url}/query", body=form, headers=headers, timeout=30)
    body = answer.json()
    error = body.get("error") or body.get("message") or body.get("results", [{}])[0].get("error")
    if answer.status != 200 or error:
        raise QueryFailed(f"{query.place}: InfluxDB answered {answer.status}, {error}, to {text}")
    return [row for series in body["results"][0].get("series", []) for row in _rows(series)]


def _rows(series: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for values in series["values"]:
        row = dict(zip(series["columns"], values, strict=True))
        if any(value is not None for column, value in row.items() if column != "time"):
            yield series.get("tags", {}) | row


def _of_panels(name: str) -> Iterator[Query]:
    for panel in panels(name):
        source = panel["datasource"]["type"]
        interval_ms = _milliseconds(panel.get("interval", datasource(source)["jsonData"]["timeInterval"]))
        for target in panel["targets"]:
            place = f"panel {panel['title']!r}, query {target['refId']}"
            text = target["query"] if source == "influxdb" else target["expr"]
            yield Query("panel", place, text, interval_ms, name, source)


def _of_variables(name: str) -> Iterator[Query]:
    for variable in dashboard(name)["templating"]["list"]:
        if variable["type"] == "query":
            source = variable["datasource"]["type"]
            yield Query("variable", f"variable {variable['name']!r}", variable["query"]["query"], 0, name, source)


def _of_annotations(name: str) -> Iterator[Query]:
    for annotation in dashboard(name)["annotations"]["list"]:
        if "query" in annotation:
            yield Query("annotation", f"annotation {annotation['name']!r}", annotation["query"], 0, name)


def _milliseconds(interval: str) -> int:
    [(number, unit)] = re.findall(r"^(\d+)(ms|s|m)$", interval)
    return int(number) * {"ms": 1, "s": 1_000, "m": 60_000}[unit]


def _in_regex(variable: dict[str, Any], values: Sequence[str] | None) -> str:
    """A variable's value in Grafana's format `regex`: escaped, several as alternatives, All as its own `allValue`."""
    if values is None:
        return str(variable["allValue"])
    escaped = [_SPECIAL.sub(r"\\\g<0>", value) for value in values]
    return escaped[0] if len(escaped) == 1 else f"({'|'.join(escaped)})"
