"""The dashboard and its provisioning, read as Grafana reads them: complete, consistent, and without an engine."""

import itertools
import re
from fractions import Fraction
from typing import Any

import pytest
import yaml

from tests.docker.compose import mounts, services
from tests.grafana.queries import GRAFANA, Query, dashboard, datasource, every_query, panels

PANELS = panels()
QUERIES = every_query()


def _title(panel: dict[str, Any]) -> str:
    return str(panel["title"])


def _place(query: Query) -> str:
    return query.place


each_panel = pytest.mark.parametrize("panel", PANELS, ids=_title)
each_query = pytest.mark.parametrize("query", QUERIES, ids=_place)


def test_the_dashboard_opens_on_the_last_quarter_of_an_hour_and_refreshes_every_five_seconds() -> None:
    board = dashboard()
    assert (board["title"], board["uid"]) == ("Live detection", "scoreline-live")
    assert (board["time"], board["refresh"]) == ({"from": "now-15m", "to": "now"}, "5s")


def test_the_dashboard_shows_what_it_promises() -> None:
    shown = {(panel["type"], panel["title"]) for panel in PANELS}
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
    }


@each_panel
def test_a_panel_says_what_it_shows_and_in_which_unit(panel: dict[str, Any]) -> None:
    assert panel["title"]
    assert panel["description"].endswith(".")
    assert panel["fieldConfig"]["defaults"]["unit"]
    assert panel["fieldConfig"]["defaults"]["noValue"], "an empty panel must say so in words"
    assert panel["fieldConfig"]["defaults"]["thresholds"]["steps"][0]["value"] is None


@each_panel
def test_a_panel_asks_the_provisioned_data_source(panel: dict[str, Any]) -> None:
    provisioned = {"type": datasource()["type"], "uid": datasource()["uid"]}
    assert panel["datasource"] == provisioned
    assert panel["targets"]
    assert all(target["datasource"] == provisioned for target in panel["targets"])
    assert all(target["rawQuery"] and target["resultFormat"] in ("time_series", "table") for target in panel["targets"])


def test_variables_and_annotations_ask_the_provisioned_data_source() -> None:
    board = dashboard()
    asked = board["templating"]["list"] + [entry for entry in board["annotations"]["list"] if not entry.get("builtIn")]
    assert {entry["datasource"]["uid"] for entry in asked} == {datasource()["uid"]}


def test_the_data_source_speaks_influxql_to_a_version_2_server() -> None:
    source = datasource()
    assert source["type"] == "influxdb"
    assert source["jsonData"]["version"] == "InfluxQL"
    assert source["jsonData"]["dbName"] == "scoreline"
    assert source["jsonData"]["httpHeaderName1"] == "Authorization"
    assert source["secureJsonData"] == {"httpHeaderValue1": "Token $INFLUXDB_TOKEN"}


def test_the_data_source_is_the_only_one_and_cannot_be_changed_by_hand() -> None:
    assert datasource()["isDefault"]
    assert datasource()["editable"] is False


def test_panel_ids_and_titles_are_unique() -> None:
    board = dashboard()["panels"]
    assert len({panel["id"] for panel in board}) == len({panel["title"] for panel in board}) == len(board)


def test_no_two_panels_overlap_and_all_lie_within_24_columns() -> None:
    cells = [
        (x, y)
        for panel in dashboard()["panels"]
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
    assert set(intervals) <= {"$__interval"}
    if intervals and "sample(" not in query.text:
        assert re.search(r" fill\((null|0)\)$", query.text), "without a fill, a gap is drawn as a slope"


@each_query
def test_variables_stand_where_they_can_be_told_apart_from_text(query: Query) -> None:
    """In InfluxQL a multi-value variable fits only between /^ and $/, and only `:regex` escapes each value."""
    assert re.findall(r"\$\{.+?\}", query.text) == re.findall(r"(?<==~ /\^)\$\{\w+:regex\}(?=\$/)", query.text)


@each_query
def test_a_query_of_alerts_is_narrowed_by_every_variable_and_one_of_scores_by_those_it_can(query: Query) -> None:
    """`throughput` has no tags, and `transaction_score` none for the country."""
    if query.kind != "panel":
        return
    named = {
        "alert": {"merchant_category", "channel", "country"},
        "transaction_score": {"merchant_category", "channel"},
    }
    [measurement] = set(re.findall(r'FROM "(\w+)"', query.text))
    assert dict(re.findall(r'"(\w+)" =~ /\^\$\{(\w+):regex\}\$/', query.text)) == {
        name: name for name in named.get(measurement, set())
    }


def test_a_variable_offers_every_value_and_stands_at_all_of_them() -> None:
    for variable in dashboard()["templating"]["list"]:
        assert variable["multi"]
        assert variable["includeAll"]
        assert variable["allValue"] == ".*"
        assert variable["current"]["value"] == ["$__all"]
        assert variable["refresh"] == 2, "values that turn up later must be offered"
        assert variable["definition"] == variable["query"]["query"]


@each_panel
def test_what_a_panel_overrides_is_a_series_or_column_that_it_shows(panel: dict[str, Any]) -> None:
    columns = {name for target in panel["targets"] for name in re.findall(r'AS "([^"]+)"', target["query"])}
    plain = {name for target in panel["targets"] for name in re.findall(r'"([^"]+)"', target["query"])}
    shown = {"Time"} | columns | plain | {target.get("alias", "") for target in panel["targets"]}
    overridden = {override["matcher"]["options"] for override in panel["fieldConfig"]["overrides"]}
    sorted_by = {entry["displayName"] for entry in panel["options"].get("sortBy", [])}
    assert overridden | sorted_by <= shown


@each_panel
def test_several_series_of_a_panel_have_names_and_letters_of_their_own(panel: dict[str, Any]) -> None:
    targets = panel["targets"]
    assert len({target["refId"] for target in targets}) == len(targets)
    if panel["type"] in ("timeseries", "heatmap", "state-timeline"):
        assert len({target["alias"] for target in targets}) == len(targets)


def test_a_click_on_a_bar_sets_a_variable_of_this_dashboard() -> None:
    variables = {variable["name"] for variable in dashboard()["templating"]["list"]}
    form = re.compile(r"/d/([\w-]+)\?\$\{__url_time_range\}&var-(\w+)=\$\{__data\.fields\.(\w+)\}")
    links = [
        form.fullmatch(link["url"]) for panel in PANELS for link in panel["fieldConfig"]["defaults"].get("links", [])
    ]
    assert len(links) == 2
    for link in links:
        assert link is not None
        assert link[1] == dashboard()["uid"]
        assert link[2] == link[3]
        assert link[2] in variables


def test_the_steps_of_the_score_heat_map_are_exact_in_binary() -> None:
    """Grafana finds a score's cell by division without rounding: with steps of 0.05 some scores fall beside the grid."""
    [panel] = [panel for panel in PANELS if panel["type"] == "heatmap"]
    step = float(panel["options"]["calculation"]["yBuckets"]["value"])
    assert Fraction(step).numerator == 1
    assert panel["options"]["calculation"]["xBuckets"]["value"] == "15000", "as wide as the panel's interval"
    assert panel["interval"] == "15s"


def test_the_provider_reads_the_folder_that_the_dashboard_is_mounted_to() -> None:
    [provider] = yaml.safe_load((GRAFANA / "provisioning" / "dashboards" / "scoreline.yml").read_text())["providers"]
    mounted = dict(mounts(services()["grafana"]))
    assert mounted["./grafana/dashboards"] == provider["options"]["path"]
    for kind in ("dashboards", "datasources"):
        assert mounted[f"./grafana/provisioning/{kind}"] == f"/etc/grafana/provisioning/{kind}"


def test_what_provisioning_reads_from_the_environment_is_set_for_grafana() -> None:
    named = {name for file in GRAFANA.rglob("*.yml") for name in re.findall(r"\$\{?([A-Z_]+)", file.read_text())}
    assert named == {"INFLUXDB_URL", "INFLUXDB_TOKEN"}
    assert named <= services()["grafana"]["environment"].keys()
