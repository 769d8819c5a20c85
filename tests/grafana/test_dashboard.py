"""The dashboards and their provisioning, read as Grafana reads them: complete, consistent, and without an engine."""

import itertools
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from grafana.asking import (
    DASHBOARDS,
    DATASOURCES,
    GRAFANA,
    Query,
    dashboard,
    datasource,
    every_query,
    names,
    panels,
)
from grafana.boards import files
from jobs.score_sums import BINS, bin_name
from settings import Settings
from tests.docker.compose import mounts, services

LIVE = panels()
PANELS = [panel for name in names() for panel in panels(name)]
QUERIES = every_query()
INFLUXQL = [query for query in QUERIES if query.source == "influxdb"]


def _title(panel: dict[str, Any]) -> str:
    return str(panel["title"])


def _place(query: Query) -> str:
    return f"{query.board}, {query.place}"


each_board = pytest.mark.parametrize("name", names())
each_panel = pytest.mark.parametrize("panel", PANELS, ids=_title)
each_query = pytest.mark.parametrize("query", INFLUXQL, ids=_place)


def test_what_grafana_reads_is_what_the_code_makes() -> None:
    made = dict(files())
    assert set(made) == set(DASHBOARDS)
    for path, text in made.items():
        assert path.read_text() == text, f"{path.name} is not current: make dashboards"


@each_board
def test_a_board_leads_to_the_others_and_to_the_analysts_page(name: str) -> None:
    board = dashboard(name)
    assert board["tags"] == ["scoreline"]
    others, page = board["links"]
    assert (others["type"], others["tags"], others["keepTime"]) == ("dashboards", ["scoreline"], True)
    assert page["url"] == "${page:raw}/"
    [address] = [variable for variable in board["templating"]["list"] if variable["name"] == "page"]
    assert address["query"] == f"http://localhost:{Settings.model_fields['page_port'].default}"


def test_the_dashboard_opens_on_the_last_quarter_of_an_hour_and_refreshes_every_five_seconds() -> None:
    board = dashboard()
    assert (board["title"], board["uid"]) == ("Live detection", "scoreline-live")
    assert (board["time"], board["refresh"]) == ({"from": "now-15m", "to": "now"}, "5s")


def test_the_dashboard_shows_what_it_promises() -> None:
    shown = {(panel["type"], panel["title"]) for panel in LIVE}
    assert shown >= {
        ("timeseries", "Scored against input"),
        ("timeseries", "Lag over time"),
        ("timeseries", "Latency, transaction to score"),
        ("heatmap", "Anomaly scores"),
        ("bargauge", "Alerts by merchant category"),
        ("bargauge", "Alerts by country"),
        ("table", "Highest alerts"),
        ("table", "Latest alerts"),
        ("state-timeline", "Model version"),
        ("timeseries", "Dead letters and late events"),
        ("timeseries", "Amount in alerts"),
    }
    assert {dashboard(name)["title"] for name in names()} == {
        "Live detection",
        "Model quality and drift",
        "Pipeline health",
        "Scoring service",
    }


@each_panel
def test_a_panel_says_what_it_shows_and_in_which_unit(panel: dict[str, Any]) -> None:
    assert panel["title"]
    assert panel["description"].endswith(".")
    assert len(panel["description"]) > 60, "it says what is shown, and what to do"
    assert panel["fieldConfig"]["defaults"]["unit"]
    assert panel["fieldConfig"]["defaults"]["noValue"], "an empty panel must say so in words"
    assert panel["fieldConfig"]["defaults"]["thresholds"]["steps"][0]["value"] is None


@each_panel
def test_a_panel_asks_a_provisioned_data_source(panel: dict[str, Any]) -> None:
    source = datasource(panel["datasource"]["type"])
    provisioned = {"type": source["type"], "uid": source["uid"]}
    assert panel["datasource"] == provisioned
    assert panel["targets"]
    assert all(target["datasource"] == provisioned for target in panel["targets"])
    for target in panel["targets"]:
        if source["type"] == "influxdb":
            assert target["rawQuery"]
            assert target["resultFormat"] in ("time_series", "table")
        else:
            assert target.get("instant") or target.get("range")


@each_board
def test_variables_and_annotations_ask_a_provisioned_data_source(name: str) -> None:
    board = dashboard(name)
    asked = board["templating"]["list"] + [entry for entry in board["annotations"]["list"] if not entry.get("builtIn")]
    uids = {entry["datasource"]["uid"] for entry in asked if "datasource" in entry}
    assert uids <= {datasource()["uid"], datasource("prometheus")["uid"]}
    assert all("datasource" in entry or entry["type"] == "textbox" for entry in asked)


def test_the_data_source_speaks_influxql_to_a_version_2_server() -> None:
    source = datasource()
    assert source["type"] == "influxdb"
    assert source["jsonData"]["version"] == "InfluxQL"
    assert source["jsonData"]["dbName"] == "scoreline"
    assert source["jsonData"]["httpHeaderName1"] == "Authorization"
    assert source["secureJsonData"] == {"httpHeaderValue1": "Token $__file{/run/reader/grafana-token}"}


def test_the_data_sources_cannot_be_changed_by_hand_and_one_is_the_default() -> None:
    assert datasource()["isDefault"]
    assert not datasource("prometheus")["isDefault"]
    assert datasource()["editable"] is datasource("prometheus")["editable"] is False
    assert {path.stem for path in DATASOURCES.glob("*.yml")} == {"influxdb", "prometheus"}


@each_board
def test_panel_ids_and_titles_are_unique(name: str) -> None:
    board = dashboard(name)["panels"]
    assert len({panel["id"] for panel in board}) == len({panel["title"] for panel in board}) == len(board)


@each_board
def test_no_two_panels_overlap_and_all_lie_within_24_columns(name: str) -> None:
    cells = [
        (x, y)
        for panel in dashboard(name)["panels"]
        for x, y in itertools.product(
            range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"]),
            range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"]),
        )
    ]
    assert len(set(cells)) == len(cells)
    assert {x for x, _ in cells} == set(range(24))
    assert len(cells) == 24 * (max(y for _, y in cells) + 1), "the grid has a hole"


@each_query
def test_a_query_of_the_past_minutes_keeps_to_the_chosen_time_range(query: Query) -> None:
    if query.kind != "variable":
        assert "$timeFilter" in query.text
        assert "now()" not in query.text


@each_query
def test_a_query_that_groups_by_time_uses_grafanas_interval(query: Query) -> None:
    intervals = re.findall(r"GROUP BY time\((.+?)\)", query.text)
    assert {interval.split(")")[0] for interval in intervals} <= {"$__interval", "1d"}
    if intervals:
        assert re.search(r" fill\((null|0|none)\)$", query.text), "without a fill, a gap is drawn as a slope"


@each_query
def test_variables_stand_where_they_can_be_told_apart_from_text(query: Query) -> None:
    """In InfluxQL a multi-value variable fits only between /^ and $/, and only `:regex` escapes each value."""
    assert re.findall(r"\$\{.+?\}", query.text) == re.findall(r"(?<==~ /\^)\$\{\w+:regex\}(?=\$/)", query.text)


@each_query
def test_a_query_is_narrowed_by_every_variable_that_its_measurement_has_as_a_tag(query: Query) -> None:
    """`throughput` has no tags, and `score_sums` none for the country."""
    if query.kind != "panel":
        return
    named = {
        "alert": {"merchant_category", "channel", "country"},
        "score_sums": {"merchant_category", "channel"},
        "model_quality": {"model_name", "model_version"},
        "model_drift": {"model_name", "model_version"},
    }
    [measurement] = set(re.findall(r'FROM "(\w+)"', query.text))
    assert dict(re.findall(r'"(\w+)" =~ /\^\$\{(\w+):regex\}\$/', query.text)) == {
        name: name for name in named.get(measurement, set())
    }


@each_board
def test_a_variable_offers_every_value_and_stands_at_all_of_them(name: str) -> None:
    for variable in dashboard(name)["templating"]["list"]:
        if variable["type"] == "textbox":
            continue
        assert variable["multi"]
        assert variable["includeAll"]
        assert variable["allValue"] == ".*"
        assert variable["current"]["value"] == ["$__all"]
        assert variable["refresh"] == 2, "values that turn up later must be offered"
        assert variable["definition"] == variable["query"]["query"]


@each_panel
def test_what_a_panel_overrides_is_a_series_or_column_that_it_shows(panel: dict[str, Any]) -> None:
    texts = [(target.get("query") or target["expr"], target.get("alias", "")) for target in panel["targets"]]
    columns = {name for text, _ in texts for name in re.findall(r'"([^"]+)"', text)}
    shown = {"Time", "Value"} | columns | {alias for _, alias in texts}
    shown |= {name for text, _ in texts for found in re.findall(r"by \(([^)]+)\)", text) for name in found.split(", ")}
    overridden = {override["matcher"]["options"] for override in panel["fieldConfig"]["overrides"]}
    sorted_by = {entry["displayName"] for entry in panel["options"].get("sortBy", [])}
    assert overridden | sorted_by <= shown


@each_panel
def test_several_series_of_a_panel_have_names_and_letters_of_their_own(panel: dict[str, Any]) -> None:
    targets = panel["targets"]
    assert len({target["refId"] for target in targets}) == len(targets)
    if panel["type"] in ("timeseries", "heatmap", "state-timeline"):
        names = [target.get("alias") or target.get("legendFormat") for target in targets]
        assert len(set(names)) == len(targets)
        assert all(names)


def test_a_click_on_a_bar_sets_a_variable_of_this_dashboard() -> None:
    variables = {variable["name"] for variable in dashboard()["templating"]["list"]}
    form = re.compile(r"/d/([\w-]+)\?\$\{__url_time_range\}&var-(\w+)=\$\{__data\.fields\.(\w+)\}")
    links = [
        form.fullmatch(link["url"]) for panel in LIVE for link in panel["fieldConfig"]["defaults"].get("links", [])
    ]
    assert len(links) == 2
    for link in links:
        assert link is not None
        assert link[1] == dashboard()["uid"]
        assert link[2] == link[3]
        assert link[2] in variables


def test_the_heat_map_shows_every_bin_of_the_sums_by_its_lower_bound() -> None:
    [panel] = [panel for panel in LIVE if panel["type"] == "heatmap"]
    shown = re.findall(r'sum\("(\w+)"\) AS "([\d.]+)"', panel["targets"][0]["query"])
    assert [name for name, _ in shown] == [bin_name(number) for number in range(BINS)]
    assert [float(bound) for _, bound in shown] == [number / BINS for number in range(BINS)]
    assert panel["options"]["rowsFrame"] == {"layout": "ge"}
    assert not panel["options"]["calculate"]


def test_the_provider_reads_the_folder_that_the_dashboard_is_mounted_to() -> None:
    [provider] = yaml.safe_load((GRAFANA / "provisioning" / "dashboards" / "scoreline.yml").read_text())["providers"]
    mounted = dict(mounts(services()["grafana"]))
    assert mounted["./grafana/dashboards"] == provider["options"]["path"]
    for kind in ("dashboards", "datasources"):
        assert mounted[f"./grafana/provisioning/{kind}"] == f"/etc/grafana/provisioning/{kind}"


def test_what_provisioning_reads_from_the_environment_is_set_for_grafana() -> None:
    texts = [file.read_text() for file in (GRAFANA / "provisioning" / "datasources").glob("*.yml")]
    named = {name for text in texts for name in re.findall(r"\$\{?([A-Z][A-Z_]+)", text)}
    assert named == {"INFLUXDB_URL"}
    assert named <= services()["grafana"]["environment"].keys()
    [file] = {file for text in texts for file in re.findall(r"\$__file\{([^}]+)\}", text)}
    assert str(Path(file).parent) in dict(mounts(services()["grafana"])).values()
