"""A real Prometheus reads a real job and a real service, by the configuration that is shipped."""

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest
import urllib3
import yaml
from kafka import KafkaProducer

from jobs.runtime.metering.families import FAMILIES
from settings import Settings
from stack.server import free_port
from tests.integration.application import Application
from tests.integration.service import Service
from tests.integration.test_serving import payments
from tests.integration.traffic import messages, send, traffic
from tests.support.prometheus import complaints, program

ROOT: Final = Path(__file__).parents[2]
PAYMENTS: Final = 1_200
BROKEN: Final = 7


class Prometheus:
    """The server, asked by HTTP."""

    def __init__(self, port: int) -> None:
        self._url = f"http://127.0.0.1:{port}"

    def ask(self, path: str, **fields: str) -> Any:
        try:
            answer = urllib3.request("GET", f"{self._url}{path}", fields=fields, retries=False, timeout=10)
        except urllib3.exceptions.HTTPError:
            return []
        return json.loads(answer.data)["data"] if answer.status == 200 else []

    def query(self, text: str) -> dict[frozenset[tuple[str, str]], float]:
        """By its labels without those that Prometheus adds: what is known now."""
        found = self.ask("/api/v1/query", query=text)
        return {
            frozenset((k, v) for k, v in each["metric"].items() if k not in ("__name__", "instance", "job")): float(
                each["value"][1]
            )
            for each in (found["result"] if found else [])
        }

    def one(self, text: str) -> float:
        found = self.query(text)
        return next(iter(found.values())) if len(found) == 1 else float("nan")


@contextmanager
def prometheus(folder: Path, targets: dict[str, int]) -> Iterator[Prometheus]:
    """Prometheus as it is shipped, with targets of this test and a look a second."""
    configuration = yaml.safe_load((ROOT / "prometheus" / "prometheus.yml").read_text())
    configuration["global"] |= {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}
    configuration["rule_files"] = [str(ROOT / "prometheus" / "rules" / "*.yml")]
    del configuration["alerting"]
    for job in configuration["scrape_configs"]:
        job["static_configs"] = [{"targets": [f"127.0.0.1:{targets[job['job_name']]}"]}]
    file, port = folder / "prometheus.yml", free_port()
    file.write_text(yaml.safe_dump(configuration))
    command = [program("prometheus"), f"--config.file={file}", f"--storage.tsdb.path={folder / 'tsdb'}"]
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen([*command, f"--web.listen-address=127.0.0.1:{port}"], stdout=log, stderr=log)
    try:
        yield Prometheus(port)
    finally:
        process.terminate()
        process.wait(30)


def broken(settings: Settings) -> None:
    producer = KafkaProducer(bootstrap_servers=settings.kafka_bootstrap_servers)
    for _ in range(BROKEN):
        producer.send(settings.transactions_topic, b"no transaction")
    producer.close()


def eventually(check: Callable[[], None], seconds: float = 60.0) -> None:
    """Until it holds: Spark reports a micro-batch when it is over, and Prometheus looks once a second."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            check()
        except (AssertionError, KeyError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.5)
        else:
            return


def pages_are_whole(job_port: int, service_port: int) -> None:
    """What is on the pages is what promtool takes, and every metric that the job has is there."""
    for port in (job_port, service_port):
        page = urllib3.request("GET", f"http://127.0.0.1:{port}/metrics").data
        assert complaints("promtool", "check", "metrics", text=page) == ""
        if port == job_port:
            shown = {family.name for family in FAMILIES if f"# TYPE {family.name} ".encode() in page}
    assert {family.name for family in FAMILIES} - shown == {"scoreline_job_query_failures_total"}


def what_prometheus_knows_is_true(server: Prometheus, begun: float) -> None:
    """Counts are exact; what it is judged by, and how the queries are, is as it is."""
    # Counts are exact.
    detect = frozenset({("query", "detect")})
    assert set(server.query("up").values()) == {1}
    assert server.query("scoreline_job_records_total")[detect] >= PAYMENTS + BROKEN
    letters = server.query("scoreline_job_dead_letters_total > 0")
    assert letters == {frozenset({("reason", "not_json")}): BROKEN}
    alerts = server.one("scoreline_job_alerts_total")
    assert 0 < alerts < PAYMENTS / 4
    assert server.one("scoreline_job_score_latency_seconds_count") >= PAYMENTS
    assert server.one("sum(scoreline_job_amount_total)") > server.one("sum(scoreline_job_alert_amount_total)") > 0

    # What it is judged by, and how the queries are.
    assert frozenset({("model_name", "scoreline"), ("model_version", "1")}) in server.query("scoreline_job_model_info")
    assert server.one("scoreline_job_alert_budget_ratio") == 0.02
    assert server.one("scoreline_job_model_refused") == 0
    assert set(server.query("scoreline_job_query_state == 1")) >= {detect | {("state", "running")}}
    assert server.query("scoreline_job_query_failing_since_timestamp_seconds")[detect] == 0
    assert begun < server.query("scoreline_job_last_commit_timestamp_seconds")[detect] < time.time() + 1
    assert server.query("scoreline_job_lag_seconds")[detect] >= 0
    assert server.query("scoreline_job_state_rows")[detect] > 0
    assert (
        server.query("scoreline_job_micro_batch_stage_seconds_total{stage='addBatch'}")[
            detect | {("stage", "addBatch")}
        ]
        > 0
    )
    memory = {
        dict(labels)["process"]: n for labels, n in server.query("scoreline_job_process_resident_memory_bytes").items()
    }
    assert memory.keys() == {"driver", "java", "workers"}
    assert all(n > 10 << 20 for n in memory.values())
    assert all(n > 0 for n in server.query("scoreline_job_process_cpu_seconds_total").values())
    assert server.one("scoreline_ready") == 1


@pytest.mark.long
def test_a_real_prometheus_reads_what_job_and_service_do(
    settings: Settings, start: Callable[..., Application], tmp_path: Path
) -> None:
    program("prometheus")
    own = settings.model_copy(update={"metrics_port": free_port(), "points_file": tmp_path / "points"})
    send(own, messages(traffic(PAYMENTS, customers=50, seed=3)))
    broken(own)
    begun = time.time()
    job = start(own, "--publish-interval-seconds", "1")
    with (
        Service(settings, tmp_path / "service") as service,
        prometheus(tmp_path, {"scoreline-job": own.metrics_port, "scoreline-service": service.port}) as server,
    ):
        job.wait_until(
            lambda: (
                server.one("scoreline_job_scores_total") == PAYMENTS
                and server.one("scoreline_job_lag_records{query='publish'}") == 0
            ),
            "the scores in Prometheus",
        )
        service.wait_until_ready()
        service.post("/transactions", payments(20))
        job.wait_until(lambda: server.one("sum(scoreline_decisions_total)") == 20, "the decisions in Prometheus", 60)

        eventually(lambda: pages_are_whole(own.metrics_port, service.port))
        eventually(lambda: what_prometheus_knows_is_true(server, begun))

        # Prometheus takes the rules, and none of them fails.
        groups = server.ask("/api/v1/rules")["groups"]
        rules = [rule for group in groups for rule in group["rules"]]
        assert len(rules) >= 10
        assert {rule["health"] for rule in rules} <= {"ok", "unknown"}
        job.wait_until(
            lambda: all(r["health"] == "ok" for g in server.ask("/api/v1/rules")["groups"] for r in g["rules"]),
            "the rules",
            60,
        )
        assert job.stop() == 0
