"""Pictures of dashboards hold what the panels' own queries are answered."""

from pathlib import Path

from typer.testing import CliRunner

from grafana.__main__ import app
from grafana.answers import Servers, rows_of, series_of
from grafana.asking import Span, panels
from grafana.drawing import draw
from tests.grafana.conftest import Filled

NOWHERE = "http://127.0.0.1:9"


def servers(filled: Filled) -> Servers:
    return Servers(filled.url, filled.database, NOWHERE)


def test_a_board_over_influxdb_is_drawn_whole(filled: Filled, tmp_path: Path) -> None:
    file = tmp_path / "pictures" / "live.png"
    assert draw("live-detection", servers(filled), filled.span, file) == []
    whole = file.read_bytes()
    assert whole.startswith(b"\x89PNG")
    before = Span(filled.span.begin - 10**9, filled.span.begin - 10**9 + 1_000_000)
    assert draw("live-detection", servers(filled), before, file) == []
    assert len(file.read_bytes()) < len(whole)


def test_what_is_drawn_are_the_figures_of_the_scores(filled: Filled) -> None:
    live = {panel["title"]: panel for panel in panels()}
    anomalies = [score for score in filled.scores if score.is_anomaly]
    [alerts] = series_of(live["Alerts"], servers(filled), "live-detection", filled.span)
    assert sum(alerts.values) == len(anomalies)
    heat = series_of(live["Anomaly scores"], servers(filled), "live-detection", filled.span)
    assert sum(sum(series.values) for series in heat) == len(filled.scores)
    rows = rows_of(live["Alerts by country"], servers(filled), "live-detection", filled.span)
    assert sum(row["alerts"] for row in rows) == len(anomalies)
    scored = series_of(live["Scored against input"], servers(filled), "live-detection", filled.span)
    assert [series.name for series in scored] == ["input", "scored"]


def test_a_server_that_does_not_answer_is_named_with_the_panel_and_the_rest_is_drawn(
    filled: Filled, tmp_path: Path
) -> None:
    environment = {
        "INFLUXDB_URL": filled.url,
        "INFLUXDB_BUCKET": f"{filled.database}/autogen",
        "INFLUXDB_TOKEN": "",
    }
    flags = ["--prometheus", NOWHERE, "--board", "live-detection", "--board", "scoring-service"]
    said = CliRunner().invoke(app, ["draw", str(tmp_path), *flags], env=environment)
    assert said.exit_code == 1
    assert {file.name for file in tmp_path.glob("*.png")} == {"live-detection.png", "scoring-service.png"}
    assert f"error: panel 'Ready': Prometheus at {NOWHERE} does not answer" in said.output
    assert "panel 'Lag'" not in said.output


def test_a_board_that_there_is_not_is_named_with_those_that_there_are(tmp_path: Path) -> None:
    said = CliRunner().invoke(app, ["draw", str(tmp_path), "--board", "nothing"])
    assert said.exit_code == 2
    words = " ".join(said.output.replace("│", " ").split())
    assert "there is no board nothing, but live-detection" in words
