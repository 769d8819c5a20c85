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


def test_a_healthy_application_says_that_it_is_ready_then_a_line_a_minute_and_its_status_is_well(
    settings: Settings, stack: Stack, start: Start
) -> None:
    assert status_of(settings)[0] == 1
    send(settings, messages(traffic(1_000, customers=100, seed=91)))
    application = start(settings)
    application.wait_until(lambda: "Scoreline is ready" in application.output, "the line that it is ready")
    application.wait_for_commit()
    application.wait_until(lambda: status_of(settings)[0] == 0, "that all is well", 60)
    send(settings, messages(traffic(600, customers=100, seed=92)))
    application.wait_until(lambda: " · lag 0" in application.output, "the line of the first minute", 150)
    lines = application.output.splitlines()
    (ready,) = [line for line in lines if line.startswith("Scoreline is ready")]
    for part in (settings.transactions_topic, settings.alerts_topic, "model scoreline 1", "logs", str(application.pid)):
        assert part in ready
    minutes = [
        line for line in lines if re.match(r"\d\d:\d\d:\d\d  in [\d,]+ · scored [\d,]+ · alerts [\d,]+ · dead", line)
    ]
    others = [line for line in lines if line not in [ready, *minutes] and "no --initial-state" not in line]
    assert others == []
    assert re.search(r"in 600 · scored .* txn/s · lag 0", "\n".join(minutes)), minutes

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
