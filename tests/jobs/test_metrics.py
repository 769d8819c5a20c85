"""What a job shows to Prometheus: names that promtool takes, counts that count once, and nothing that could stop it."""

import json
import logging
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Final

import pytest
import urllib3
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from detection.message_parsing import Invalid, parse
from jobs.dead_letter_kinds import KINDS, kind_of
from jobs.published_counts import begin, count
from jobs.runtime.metering import families
from jobs.runtime.metering.arrivals import Arrivals
from jobs.runtime.metering.endpoint import serve
from jobs.runtime.metering.families import FAMILIES, MOST_SETS, as_markdown
from jobs.runtime.metering.finished import Finished
from jobs.runtime.metering.meter import Meter, Sample
from jobs.runtime.metering.processes import WORKERS, Processes
from jobs.throughput import Tally
from serving.metrics import Metrics
from settings import Settings
from stack.server import free_port
from tests.support.prometheus import complaints

ROOT: Final = Path(__file__).parents[2]


def page(meter: Meter) -> str:
    registry = CollectorRegistry()
    registry.register(meter)
    return generate_latest(registry).decode()


def values(meter: Meter, name: str) -> dict[tuple[str, ...], float]:
    """The samples of this name by the values of their labels."""
    return {
        tuple(sample.labels.values()): sample.value
        for family in text_string_to_metric_families(page(meter))
        for sample in family.samples
        if sample.name == name
    }


def full() -> Meter:
    """A meter that shows every family."""
    meter = Meter()
    for family in FAMILIES:
        labels = tuple("a" for _ in family.labels)
        if family.kind == "counter":
            meter.add(family, 1, *labels)
        elif family.kind == "histogram":
            meter.observe(family, {0.2: 3}, *labels)
        else:
            meter.ask(lambda family=family, labels=labels: [Sample(family, 1, labels)])
    return meter


# Names


def test_promtool_takes_every_name_of_a_job_and_of_the_service() -> None:
    shown = page(full())
    assert all(f"# TYPE {family.name} {family.kind}" in shown for family in FAMILIES)
    service = Metrics()
    service.count(service.requests, "/predict", "200")
    service.count(service.decisions, "approve", "model")
    for text in (shown.encode(), generate_latest(service.registry)):
        assert complaints("promtool", "check", "metrics", text=text) == ""


def test_promtool_is_asked_and_finds_what_is_wrong() -> None:
    assert "total" in complaints("promtool", "check", "metrics", text="# HELP a b\n# TYPE a_total gauge\na_total 1\n")


def test_the_document_has_each_metric_of_a_job_and_of_the_service() -> None:
    text = (ROOT / "docs" / "metrics.md").read_text()
    assert as_markdown() in text
    for family in Metrics().registry.collect():
        name = family.name + ("_total" if family.type == "counter" else "")
        assert f"| `{name}` | {family.type} |" in text, name


# Counting


def test_labels_are_bounded_and_any_text_can_be_one() -> None:
    meter = Meter()
    for number in range(MOST_SETS + 50):
        meter.add(families.dead_letters, 1, f'a\ud800\n"{number}')
    found = values(meter, "scoreline_job_dead_letters_total")
    assert len(found) == MOST_SETS + 1
    assert found[("other",)] == 50
    assert sum(found.values()) == MOST_SETS + 50


def test_a_histogram_counts_each_value_in_its_bucket_and_a_negative_one_as_zero() -> None:
    meter = Meter()
    count(meter, Tally(latency={-5: 1, 50: 2, 51: 3, 7_200_000: 4}))
    buckets = {le: n for (le,), n in values(meter, "scoreline_job_score_latency_seconds_bucket").items()}
    assert (buckets["0.05"], buckets["0.1"], buckets["3600.0"], buckets["+Inf"]) == (3, 6, 6, 10)
    assert values(meter, "scoreline_job_score_latency_seconds_sum")[()] == pytest.approx(0.1 + 0.153 + 28_800)


def test_the_tallies_of_publish_add_up_and_begin_at_zero() -> None:
    meter = Meter()
    begin(meter)
    assert values(meter, "scoreline_job_dead_letters_total") == {(kind,): 0 for kind in KINDS}
    assert values(meter, "scoreline_job_alerts_total") == {(): 0}
    for _ in range(2):
        count(meter, Tally(scored=5, anomalies=2, dead={"other": 3}, amounts={"EUR": (10.0, 4.0)}))
    assert values(meter, "scoreline_job_alerts_total") == {(): 4}
    assert values(meter, "scoreline_job_dead_letters_total")[("other",)] == 6
    assert values(meter, "scoreline_job_amount_total") == {("EUR",): 20}
    assert values(meter, "scoreline_job_alert_amount_total") == {("EUR",): 8}


class Said:
    """Spark's progress of a micro-batch, in Java."""

    def __init__(self, number: int, records: int) -> None:
        self._said = {
            "batchId": number,
            "timestamp": f"2026-01-01T00:00:{number:02}.000Z",
            "durationMs": {"triggerExecution": 700, "addBatch": 500, "somethingNew": 20},
            "stateOperators": [{"numRowsTotal": 7 + number, "memoryUsedBytes": 100}],
            "sources": [{"numInputRows": records}],
        }

    def json(self) -> str:
        return json.dumps(self._said)


class Spark:
    """What keeps the newest 100 of them."""

    def __init__(self) -> None:
        self.said: list[Said] = []

    def recentProgress(self) -> list[Said]:
        return self.said[-100:]


def test_each_micro_batch_is_counted_once_however_many_came_between_two_looks() -> None:
    meter, spark = Meter(), Spark()
    finished = Finished("detect", meter)
    finished.look(spark)
    for number in range(6):
        spark.said.append(Said(number, records=10 if number else 0))
        if number % 2:
            finished.look(spark)
            finished.look(spark)
    assert values(meter, "scoreline_job_records_total") == {("detect",): 50}
    assert values(meter, "scoreline_job_micro_batches_total") == {("detect",): 5}
    assert values(meter, "scoreline_job_micro_batch_duration_seconds_count") == {("detect",): 5}
    stages = values(meter, "scoreline_job_micro_batch_stage_seconds_total")
    assert stages == {("detect", "addBatch"): pytest.approx(2.5), ("detect", "other"): pytest.approx(0.1)}
    assert values(meter, "scoreline_job_state_rows") == {("detect",): 12}


def test_a_source_that_fails_leaves_out_its_own_figures_alone(caplog: pytest.LogCaptureFixture) -> None:
    def fails() -> list[Sample]:
        raise OSError("gone")

    meter = Meter()
    meter.ask(fails)
    meter.ask(lambda: [Sample(families.started, 3.0)])
    with caplog.at_level(logging.WARNING):
        assert [values(meter, "scoreline_job_start_time_seconds") for _ in range(3)] == [{(): 3.0}] * 3
    assert len(caplog.records) == 1


# What is asked for


@given(st.lists(st.tuples(st.floats(0.1, 30), st.integers(0, 1_000)), min_size=1, max_size=20), st.integers(0, 20_000))
def test_the_age_of_what_is_unread_is_within_what_was_seen_and_falls_as_more_is_read(
    looks: list[tuple[float, int]], offset: int
) -> None:
    arrivals, at, end = Arrivals(), 0.0, 0
    for seconds, more in looks:
        at, end = at + seconds, end + more
        arrivals.take(at, {"t": {"0": end}})
    ages = [arrivals.age({"t": {"0": read}}) for read in sorted((offset, offset // 2, end))]
    assert ages == sorted(ages, reverse=True)
    assert all(0 <= age <= at for age in ages)
    assert arrivals.age({"t": {"0": end}}) == 0


def test_the_cpu_time_of_workers_that_ended_stays_counted() -> None:
    busy = "import time; e = time.process_time() + .3\nwhile time.process_time() < e: pass\n"
    runs = f"import subprocess, sys, time\nsubprocess.run([sys.executable, '-c', {busy + 'time.sleep(1.5)'!r}])\ntime.sleep(60)"
    parent = subprocess.Popen([sys.executable, "-c", runs])
    try:
        asked, used = Processes(parent.pid), [0.0]
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            samples = {(s.family, s.labels[0]): s.value for s in asked()}
            used.append(samples[families.cpu, WORKERS])
            if used[-1] >= 0.25 and not samples[families.processes, WORKERS]:
                break
            time.sleep(0.05)
        assert used == sorted(used)
        assert used[-1] >= 0.25
        assert samples[families.memory, "driver"] > 1 << 20
    finally:
        parent.kill()
        parent.wait()


def test_each_reason_that_a_message_is_refused_for_has_its_kind() -> None:
    good = b'{"transaction_id":"a","event_time":"2026-01-01T00:00:00Z","customer_id":"c","amount":1}'
    assert parse(good).amount == 1
    found = {}
    for value in (
        None, b"", b"{", b"\xff", b'{"x":' * 99, b"[]", b"{}", good.replace(b":1}", b':"1"}'), good.replace(b":1}", b":-1}"),
        good.replace(b"}", b',"amount":1}'), good.replace(b"2026-01-01T00:00:00Z", b"yesterday"),
    ):  # fmt: skip
        with pytest.raises(Invalid) as refused:
            parse(value)
        found[value] = kind_of(str(refused.value))
    assert list(found.values()) == [
        *["not_json"] * 5, *["wrong_value", "missing_field", "wrong_value", "wrong_value", "field_twice", "wrong_value"]
    ]  # fmt: skip


# The page


def settings_of(port: int) -> Settings:
    return Settings(metrics_port=port, metrics_host="127.0.0.1")


def ask(port: int, path: str = "/metrics") -> urllib3.BaseHTTPResponse:
    """Its answer, once it listens."""
    deadline = time.monotonic() + 120
    while True:
        try:
            return urllib3.request("GET", f"http://127.0.0.1:{port}{path}", retries=False, timeout=10)
        except urllib3.exceptions.HTTPError:
            assert time.monotonic() < deadline
            time.sleep(0.02)


def test_the_page_is_what_prometheus_reads_and_nothing_else_is_there() -> None:
    port = free_port()
    serve(settings_of(port), full())
    answer = ask(port)
    assert (answer.status, answer.headers["content-type"].split(";")[0]) == (200, "text/plain")
    assert {family.name for family in text_string_to_metric_families(answer.data.decode())} >= {
        family.name.removesuffix("_total") for family in FAMILIES
    }
    assert ask(port, "/../etc/passwd").status == 404


def _of_the_job(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    """What was logged but for lines of threads of other tests, which end when they do."""
    return [record for record in caplog.records if record.name.startswith("jobs.")]


def test_a_port_that_is_taken_is_one_line_and_stops_nothing(caplog: pytest.LogCaptureFixture) -> None:
    with socket.socket() as taken, caplog.at_level(logging.WARNING):
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        serve(settings_of(port), full())
        deadline = time.monotonic() + 120
        while not _of_the_job(caplog) and time.monotonic() < deadline:
            time.sleep(0.02)
    [record] = _of_the_job(caplog)
    assert f"127.0.0.1:{port} can't be had" in record.getMessage()
    assert "--metrics-port" in record.getMessage()


def test_port_0_shows_nothing() -> None:
    def fails(*_: Any) -> None:
        raise AssertionError("a thread was begun")

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("threading.Thread", fails)
        serve(settings_of(0), full())
