"""Every PromQL query of the dashboards, sent to a real Prometheus that holds what a job and a service show."""

import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
import urllib3
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from tenacity import retry, stop_after_delay, wait_fixed

from grafana.answers import Servers
from grafana.asking import Query, Span, every_query
from grafana.drawing import draw
from jobs.runtime.metering.families import FAMILIES
from jobs.runtime.metering.meter import Meter, Sample
from serving.metrics import Metrics
from stack.server import HOST, free_port
from tests.support.prometheus import complaints, program

QUERIES: Final = [query for query in every_query() if query.source == "prometheus"]
PANELS: Final = [query for query in QUERIES if query.kind == "panel"]
SCRAPES: Final = 9
EVERY_SECONDS: Final = 15


def _id(query: Query) -> str:
    return f"{query.board}, {query.place}"


@dataclass(frozen=True)
class Filled:
    """Where it answers, and the last time (s) of which it has something."""

    url: str
    end: int

    def ask(self, path: str, **parameters: str) -> Any:
        answer = urllib3.request("GET", f"{self.url}/api/v1/{path}", fields=parameters, timeout=10).json()
        assert answer["status"] == "success", answer
        return answer["data"]


def job() -> bytes:
    """What a job shows where everything has happened once."""
    meter = Meter()
    for family in FAMILIES:
        labels = tuple("detect" if name == "query" else "a" for name in family.labels)
        if family.kind == "counter":
            meter.add(family, 1, *labels)
        elif family.kind == "histogram":
            meter.observe(family, {0.2: 3}, *labels)
        else:
            meter.ask(lambda family=family, labels=labels: [Sample(family, 1, labels)])
    registry = CollectorRegistry()
    registry.register(meter)
    return generate_latest(registry)


def service() -> bytes:
    """What a service shows after some requests."""
    metrics = Metrics()
    metrics.count(metrics.requests, "/predict", "200")
    metrics.count(metrics.decisions, "approve", "model")
    metrics.latency.labels("/predict").observe(0.003)
    for counter in (metrics.records, metrics.early_alerts, metrics.early_alerts_failed, metrics.degraded):
        counter.inc()
    return generate_latest(metrics.registry)


def scraped(page: bytes, instance: str, times: range) -> Iterator[str]:
    """Each sample at each of some times, all values growing."""
    for family in text_string_to_metric_families(page.decode()):
        for sample in family.samples:
            labels = ",".join(f'{name}="{value}"' for name, value in (sample.labels | {"instance": instance}).items())
            for number, at in enumerate(times, 1):
                yield f"{sample.name}{{{labels}}} {sample.value * number} {at}"


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Filled]:
    folder = tmp_path_factory.mktemp("prometheus")
    end = int(time.time()) - 60
    times = range(end - EVERY_SECONDS * (SCRAPES - 1), end + 1, EVERY_SECONDS)
    lines = [*scraped(job(), "job:9109", times), *scraped(service(), "service:8089", times), "# EOF\n"]
    (folder / "samples").write_text("\n".join(lines))
    arguments = ("tsdb", "create-blocks-from", "openmetrics", str(folder / "samples"), str(folder / "data"))
    assert complaints("promtool", *arguments) == ""
    (folder / "prometheus.yml").write_text("scrape_configs: []\n")
    server = Filled(f"http://{HOST}:{free_port()}", end)
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(_command(folder, server), stdout=log, stderr=log)
    try:
        _wait(server, folder / "log")
        yield server
    finally:
        process.terminate()
        process.wait(30)


def _command(folder: Path, server: Filled) -> list[str]:
    return [
        program("prometheus"),
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address={server.url.removeprefix('http://')}",
    ]


@retry(stop=stop_after_delay(30), wait=wait_fixed(0.1), reraise=True)
def _wait(server: Filled, log: Path) -> None:
    answer = urllib3.request("GET", f"{server.url}/-/ready", timeout=2, retries=False)
    assert answer.status == 200, log.read_text()[-500:]


def sent(query: Query, **chosen: str) -> str:
    """The query as Grafana's Prometheus data source sends it; four scrapes are the interval of a rate."""
    text = query.text.replace("$__rate_interval", f"{4 * EVERY_SECONDS}s")
    for name in ("instance", "query", "route"):
        text = text.replace(f"${name}", chosen.get(name, ".*"))
    assert "$" not in text, f"{_id(query)}: a variable that nobody defines"
    return text


def rows(filled: Filled, text: str, begin: int, end: int) -> list[Any]:
    found = filled.ask("query_range", query=text, start=str(begin), end=str(end), step=str(EVERY_SECONDS))
    result: list[Any] = found["result"]
    return result


@pytest.mark.parametrize("query", PANELS, ids=_id)
def test_every_panel_shows_what_a_job_and_a_service_show(query: Query, filled: Filled) -> None:
    found = rows(filled, sent(query), filled.end - 30, filled.end)
    assert found, sent(query)
    assert all(value not in ("NaN", "+Inf") for series in found for _, value in series["values"])


@pytest.mark.parametrize("query", PANELS, ids=_id)
def test_a_panel_of_a_time_without_data_is_empty_and_no_error(query: Query, filled: Filled) -> None:
    found = rows(filled, sent(query), filled.end - 90_000, filled.end - 80_000)
    assert not found or query.place == "panel 'Queries that fail', query A", "which says 0"


@pytest.mark.parametrize("query", PANELS, ids=_id)
def test_every_panel_is_narrowed_by_the_instance(query: Query, filled: Filled) -> None:
    found = rows(filled, sent(query, instance="nobody"), filled.end - 30, filled.end)
    assert not found or query.place == "panel 'Queries that fail', query A", "which says 0"


@pytest.mark.parametrize("query", [query for query in QUERIES if query.kind == "variable"], ids=_id)
def test_every_variable_offers_what_is_there(query: Query, filled: Filled) -> None:
    metric, label = query.text.removeprefix("label_values(").removesuffix(")").split(", ")
    found = filled.ask(f"label/{label}/values", **{"match[]": metric})
    expected = {"query": ["detect"], "route": ["/predict"]}
    board = {"pipeline-health": ["job:9109"], "scoring-service": ["service:8089"]}[query.board]
    assert found == expected.get(label, board)


def test_boards_over_prometheus_are_drawn_whole(filled: Filled, tmp_path: Path) -> None:
    servers, span = Servers("", "", filled.url), Span(1000 * filled.end - 120_000, 1000 * filled.end)
    for board in ("pipeline-health", "scoring-service"):
        assert draw(board, servers, span, tmp_path / f"{board}.png") == []
        assert (tmp_path / f"{board}.png").read_bytes().startswith(b"\x89PNG")
