"""What a person chooses at the head of a board."""

from typing import Any, Final

from grafana.questions import INFLUXDB, PROMETHEUS

PAGE: Final = {
    "type": "textbox",
    "name": "page",
    "label": "Analyst's page",
    "description": "Address of the analyst's page, to which links lead",
    "query": "http://localhost:8090",
    "current": {"selected": True, "text": "http://localhost:8090", "value": "http://localhost:8090"},
    "options": [],
    "hide": 0,
    "skipUrlSync": False,
}


def of_tag(name: str, label: str, measurement: str) -> dict[str, Any]:
    """The values of an InfluxDB tag, several of them or all."""
    query = f'SHOW TAG VALUES FROM "{measurement}" WITH KEY = "{name}"'
    asked = {"query": query, "refId": "InfluxVariableQueryEditor-VariableQuery"}
    return _several(name, label, query, asked) | {"datasource": INFLUXDB.to_json()}


def of_label(name: str, label: str, metric: str) -> dict[str, Any]:
    """The values of a Prometheus label, several of them or all."""
    query = f"label_values({metric}, {name})"
    asked = {"query": query, "refId": "PrometheusVariableQueryEditor-VariableQuery", "qryType": 5}
    return _several(name, label, query, asked) | {"datasource": PROMETHEUS.to_json()}


def _several(name: str, label: str, definition: str, query: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "query",
        "name": name,
        "label": label,
        "definition": definition,
        "query": query,
        "refresh": 2,  # values that turn up later are offered
        "sort": 1,
        "regex": "",
        "hide": 0,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "options": [],
        "skipUrlSync": False,
        "current": {"selected": True, "text": ["All"], "value": ["$__all"]},
    }


def annotation(name: str, query: str, text: str, color: str) -> dict[str, Any]:
    """A mark on all panels wherever an InfluxQL query has a row; `text`: the column that says what it is."""
    return {
        "name": name,
        "datasource": INFLUXDB.to_json(),
        "enable": True,
        "hide": False,
        "iconColor": color,
        "textColumn": text,
        "tagsColumn": "",
        "titleColumn": "",
        "query": query,
    }


OF_GRAFANA: Final = {
    "name": "Annotations",
    "builtIn": 1,
    "type": "dashboard",
    "datasource": {"type": "grafana", "uid": "-- Grafana --"},
    "enable": True,
    "hide": True,
    "iconColor": "blue",
}
