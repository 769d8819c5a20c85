"""What a person, a machine and a health check learn of the real application: its console, and `python -m jobs status`."""

import re
import time
from collections.abc import Callable

import msgspec
import pytest

from settings import Settings
from stack.local import Stack
from tests.integration.application import Application, status_of
from tests.integration.traffic import messages, send, traffic

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
