"""The service while its broker is unavailable: the fallback at once, nothing lost, and judgements right afterwards."""

import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from ml.model import Model
from settings import Settings
from stack.local import Stack
from tests.integration.service import Response, Service
from tests.integration.test_serving import judged, payments, same
from tests.support.kafka import read_topic


def asked(service: Service, payment: dict[str, Any], timeout_ms: int = 200) -> tuple[Response, float]:
    """The answer, and how many seconds it took."""
    began = time.monotonic()
    return service.post(f"/transactions?timeout_ms={timeout_ms}", payment), time.monotonic() - began


@pytest.mark.long
@pytest.mark.timeout(400)
def test_a_minute_without_its_broker_costs_fallbacks_and_no_payment(
    settings: Settings, stack: Stack, models: list[Model], tmp_path: Path
) -> None:
    sent = payments(1_200, customers=100)
    flags = "--serve-most-waiting", "40"  # fewer than come during the outage: who was answered waits no more
    with Service(settings, tmp_path / "one", *flags).wait_until_ready() as service:
        before = [service.post("/transactions", each).body for each in sent[:100]]
        stack.kafka.kill()
        gone, during = time.monotonic(), []
        try:
            while time.monotonic() - gone < 60:
                during.append(asked(service, sent[100 + len(during)]))
                time.sleep(0.2)
        finally:
            stack.kafka.start()
        back = time.monotonic()
        missed = sent[100 : 100 + len(during)]
        while "degraded" in asked(service, missed[-1], 1_000)[0].body:
            assert time.monotonic() - back < 30, "nothing is judged half a minute after Kafka is back"
        took = time.monotonic() - back
        again = [service.post("/transactions", each).body for each in missed]
        after = [service.post("/transactions", each).body for each in sent[-100:]]
        assert service.get("/ready").status == 200
    print(
        f"{len(during)} requests without Kafka, the slowest {max(each for _, each in during):.3f} s; judged {took:.1f} s after"
    )
    assert len(during) > 100
    for found, seconds in during:
        assert (found.status, found.body["decision"], found.body["decided_by"]) == (200, "approve", "fallback"), found
        assert "no judgement within 200 ms" in found.body["degraded"]
        assert seconds < 5, "the fallback does not wait for Kafka"
    expected = judged(settings, models[0])
    for answers in (before, again, after):
        assert all(same(answer, expected[answer["partition"], answer["offset"]]) for answer in answers)
    assert all(answer["repeated"] for answer in again)
    records = read_topic(settings.kafka_bootstrap_servers, settings.transactions_topic)
    assert Counter(Counter(record.value for record in records).values()) == {1: 200 + len(missed)}
