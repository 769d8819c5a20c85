"""What a person, a machine and a health check learn of the real application: its console, and `python -m jobs status`."""

import re
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from jobs.status import QUERIES, QueryStatus, queries_of, statuses
from settings import Settings
from stack.local import Stack
from tests.integration.application import Application, status_of
from tests.integration.traffic import messages, send, traffic
from tests.support.kafka import count_records, read_topic

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

Start = Callable[..., Application]

LINE = re.compile(r"\d\d:\d\d:\d\d  in ([\d,]+) · scored [\d,]+ · alerts [\d,]+ · dead")


def lines_of(application: Application) -> list[str]:
    """What it printed of its work: in real life a line a minute."""
    return [line for line in application.output.splitlines() if LINE.match(line)]


def taken_in(application: Application) -> int:
    """How many records have come since the first look, by all these lines."""
    return sum(int(found[1].replace(",", "")) for line in lines_of(application) if (found := LINE.match(line)))


def test_a_healthy_application_says_that_it_is_ready_then_a_line_every_so_often_and_its_status_is_well(
    settings: Settings, stack: Stack, start: Start
) -> None:
    settings = settings.model_copy(update={"console_seconds": 3.0, "publish_interval_seconds": 1.0})
    assert status_of(settings)[0] == 1
    send(settings, messages(traffic(1_000, customers=100, seed=91)))
    application = start(settings)
    application.wait_until(lambda: "Scoreline is ready" in application.output, "the line that it is ready")
    application.wait_for_commit()
    application.wait_until(lambda: status_of(settings)[0] == 0, "that all is well", 300)
    application.wait_until(lambda: len(lines_of(application)) > 0, "the first line of what it does")
    send(settings, messages(traffic(600, customers=100, seed=92)))
    application.wait_until(
        lambda: taken_in(application) == 600 and "txn/s · lag 0" in lines_of(application)[-1], "lines of all that came"
    )
    lines = application.output.splitlines()
    (ready,) = [line for line in lines if line.startswith("Scoreline is ready")]
    for part in (settings.transactions_topic, settings.alerts_topic, "model scoreline 1", "logs", str(application.pid)):
        assert part in ready
    others = [line for line in lines if line != ready and not LINE.match(line) and "no --initial-state" not in line]
    assert others == []

    begin = time.monotonic()
    code, said = status_of(settings, "--json")
    assert time.monotonic() - begin < 15
    assert code == 0
    detect, publish = msgspec.json.decode(said)
    assert (detect["query"], detect["state"], detect["lag"], detect["unhealthy"]) == ("detect", "running", 0, None)
    assert detect["facts"]["model"] == 1
    assert publish["query"] == "publish"

    stack.influxdb.stop()
    try:
        send(settings, messages(traffic(300, customers=100, seed=93)))
        application.wait_until(lambda: status_of(settings)[0] == 1, "that publish is failing", 120)
        assert status_of(settings, "--query", "detect")[0] == 0
        publish = msgspec.json.decode(status_of(settings, "--json", "--query", "publish")[1])[0]
        assert publish["state"] == "failing"
        assert publish["attempts"] >= 1
        assert "does not answer" in publish["cause"] or "INFLUXDB_URL" in publish["cause"]
    finally:
        stack.influxdb.start()
    application.wait_until(lambda: status_of(settings)[0] == 0, "that it has recovered", 120)
    assert application.stop() == 0
    code, said = status_of(settings)
    assert code == 1
    assert "stopped" in said


@pytest.mark.long
@pytest.mark.usefixtures("by_profiles")
def test_each_query_that_stands_still_is_named_with_its_micro_batch_and_offsets(
    settings: Settings, start: Start, tmp_path: Path
) -> None:
    """All five at once, for the Python workers are stopped: what waits at each is its own, and all go on afterwards."""
    often = {f"{name}_interval_seconds": 0.5 for name in ("publish", "thresholds", "profiles", "lake")}
    update = often | {"stalled_after_minutes": 0.25, "lake": str(tmp_path / "lake"), "adaptive_thresholds": True}
    settings = settings.model_copy(update=update)
    send(settings, messages(traffic(300, customers=50, seed=94)))
    application = start(settings)

    def found() -> list[QueryStatus]:
        checkpoint = Path(settings.checkpoint)
        return statuses(checkpoint, queries_of(checkpoint), settings)

    application.wait_until(
        lambda: count_records(settings.kafka_bootstrap_servers, settings.scores_topic) == 300, "the scores"
    )
    application.wait_until(
        lambda: [one.query for one in found() if one.committed is not None and one.lag == 0] == list(QUERIES),
        "that all five have read all",
    )
    workers = application.workers()
    for worker in workers:
        worker.suspend()
    known = read_topic(settings.kafka_bootstrap_servers, settings.scores_topic)[:50]
    to_scores = settings.model_copy(update={"transactions_topic": settings.scores_topic})
    send(to_scores, [(record.key, record.value) for record in known])
    send(settings, messages(traffic(100, customers=50, seed=95)))
    application.wait_until(lambda: all(one.state == "stalled" for one in found()), "that all stand still", 300)
    for one in found():
        assert one.committed is not None
        assert one.micro_batch == one.committed + 1
        assert one.offsets is not None
        topic = settings.transactions_topic if one.query == "detect" else settings.scores_topic
        assert 300 < sum(one.offsets[topic].values()) <= (400 if one.query == "detect" else 350)
        assert "no progress for" in (one.unhealthy or "")
        assert one.failing_since is not None
        assert time.time() - 300 < one.failing_since < time.time() - 15
    assert status_of(settings, "--query", "profiles")[0] == 1
    code, shown = status_of(settings)
    assert code == 1
    assert shown.count("stalled") == 5
    for worker in workers:
        worker.resume()
    application.wait_until(lambda: not any(one.unhealthy for one in found()), "that all go on", 300)
    assert application.stop() == 0
