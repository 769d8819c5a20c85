"""The fast lane, as a process with a real broker: what is answered is the judgement of what is in the log."""

import itertools
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pyarrow.parquet as pq
import pytest
from confluent_kafka.admin import AdminClient, NewPartitions
from kafka import KafkaProducer

from detection.decision import Decision
from detection.engine import Engine, Scored
from detection.exported_state import OFFSETS_KEY, StateOf
from detection.folding import Messages
from detection.ranges import Versions
from detection.score_json import closing
from messaging.config import KafkaConfig
from ml.features.customers import Customers
from ml.model import Model
from ml.registry.model_store import ModelStore
from ml.schema import Score, Transaction
from serving.sent_alerts import PLACE_HEADER
from settings import Settings
from tests.detection.scores import exact
from tests.integration.application import Application
from tests.integration.service import Service
from tests.integration.traffic import messages, send, traffic
from tests.support.kafka import read_topic
from tests.support.topics import make_again

LIVE = datetime.now(UTC).replace(microsecond=0)
OF_ANSWER = ("anomaly_score", "threshold", "is_anomaly", "model_version")


def payments(n: int, customers: int = 40, seed: int = 1) -> list[dict[str, Any]]:
    """Transactions of now, as JSON would have them."""
    moved = LIVE - timedelta(days=4)
    made = traffic(n, customers, seed)
    start = made[0].event_time
    for each in made:
        each.event_time = moved + (each.event_time - start)
    return [msgspec.to_builtins(each) for each in made]


def judged(settings: Settings, model: Model) -> dict[tuple[int, int], Score]:
    """What one fold along the log makes of every record, by its place."""
    records = read_topic(settings.kafka_bootstrap_servers, settings.transactions_topic)
    columns = [[getattr(r, name) for r in records] for name in ("value", "key", "timestamp", "partition", "offset")]
    decision = Decision.from_table(Versions(model.version, name=model.name, model_digest=model.digest), model, None)
    found = Engine(Customers()).work(Messages(*columns), decision, closing("early", None, 0))
    return {
        (record.partition, record.offset): exact(each.value)
        for record, each in zip(records, found, strict=True)
        if isinstance(each, Scored)
    }


def same(answer: dict[str, Any], score: Score) -> bool:
    return all(answer[name] == getattr(score, name) for name in OF_ANSWER)


def test_an_answer_is_the_judgement_of_the_record_as_it_stands_in_the_log(
    settings: Settings, models: list[Model], tmp_path: Path
) -> None:
    with Service(settings, tmp_path / "one").wait_until_ready() as service:
        sent = payments(300)
        send(settings, messages([]))
        answers = [service.post("/transactions", each).body for each in sent[:100]]
        answers += service.post("/transactions", sent[100:]).body
        again = service.post("/transactions", sent[7]).body
        looked = service.post("/predict", sent[7] | {"transaction_id": "new"}).body
        assert service.get("/health").status == 200
        metrics = service.get("/metrics").body
        assert 'scoreline_requests_total{outcome="200",route="/transactions"} 102.0' in metrics
        for line in ("records_total 300.0", "model_version 1.0", "threshold_version 0.0", "requests_waiting 0.0"):
            assert f"\nscoreline_{line}\n" in metrics
    expected = judged(settings, models[0])
    assert len(expected) == len(sent)
    assert [answer for answer in answers if "degraded" in answer] == []
    for payment, answer in zip(sent, answers, strict=True):
        assert answer["transaction_id"] == payment["transaction_id"]
        assert same(answer, expected[answer["partition"], answer["offset"]])
        assert answer["decision"] == ("review" if answer["is_anomaly"] else "approve")
    assert any(answer["is_anomaly"] for answer in answers)
    assert again == answers[7] | {"repeated": True}
    assert "partition" not in looked


def test_a_prediction_is_what_the_next_record_would_get_and_leaves_no_trace(settings: Settings, tmp_path: Path) -> None:
    with Service(settings, tmp_path / "one").wait_until_ready() as service:
        for payment in payments(60, customers=3):
            seen = service.post("/predict", payment).body
            assert service.post("/predict", payment).body | {"elapsed_ms": 0} == seen | {"elapsed_ms": 0}
            came = service.post("/transactions", payment).body
            assert {name: seen[name] for name in OF_ANSWER} == {name: came[name] for name in OF_ANSWER}


def test_what_is_no_transaction_is_refused_with_what_is_wrong_and_is_not_in_the_log(
    settings: Settings, tmp_path: Path
) -> None:
    (good,) = payments(1)
    with Service(settings, tmp_path / "one").wait_until_ready() as service:
        wrong = [
            (good | {"amount": "5"}, "amount"),
            (good | {"amount": -1}, "amount"),
            ({name: value for name, value in good.items() if name != "customer_id"}, "customer_id"),
            (good | {"event_time": "2026-03-02T08:00:00"}, "event_time"),
            (b"{", None),
            (b"", None),
            (b"\xff", None),
            (b"[" * 100_000, None),
            ([], None),
            ([good] * 1001, None),
        ]
        for body, field in wrong:
            found = service.post("/transactions", body)
            assert (found.status, found.body.get("field")) == (422, field), found.body
            assert found.headers["content-type"] == "application/problem+json"
        assert service.post("/transactions", b" " * (5 << 20)).status == 413
        assert service.post("/transactions?timeout_ms=0", good).status == 422
        assert service.post("/transactions", [good | {"amount": "5"}]).body[0]["status"] == 422
        found = service.get("/transactions")
        assert (found.status, found.headers["allow"]) == (405, "POST")
    assert read_topic(settings.kafka_bootstrap_servers, settings.transactions_topic) == []


def test_killed_and_started_again_it_gives_the_same_answers_and_knows_what_came_meanwhile(
    settings: Settings, models: list[Model], tmp_path: Path
) -> None:
    sent = payments(200)
    with Service(settings, tmp_path / "one").wait_until_ready() as service:
        before = [service.post("/transactions", each).body for each in sent[:100]]
        service.kill()
    send(settings, messages([msgspec.convert(each, Transaction) for each in sent[100:150]]))
    with Service(settings, tmp_path / "one").wait_until_ready() as service:
        again = [service.post("/transactions", each).body for each in sent[:100]]
        twice = service.post("/transactions", sent[120])
        after = [service.post("/transactions", each).body for each in sent[150:]]
        assert service.stop() == 0
    for one, other in zip(before, again, strict=True):
        assert other == one | {"repeated": True, "elapsed_ms": other["elapsed_ms"]}
    assert (twice.status, twice.body["field"]) == (409, "transaction_id")
    expected = judged(settings, models[0])
    assert len(expected) == 200
    assert all(same(answer, expected[answer["partition"], answer["offset"]]) for answer in (*before, *after))


def test_a_promotion_while_it_was_down_contradicts_no_answer(
    settings: Settings, registry: ModelStore, tmp_path: Path
) -> None:
    sent = payments(120)
    with Service(settings, tmp_path / "one").wait_until_ready() as service:
        before = [service.post("/transactions", each).body for each in sent[:100]]
        service.kill()
    registry.promote(2)
    with Service(settings, tmp_path / "one").wait_until_ready() as service:
        after = [service.post("/transactions", each).body for each in sent[100:]]
        again = [service.post("/transactions", each).body for each in sent[:100]]
    assert {answer["model_version"] for answer in before} == {1}
    assert {answer["model_version"] for answer in after} == {2}
    for one, other in zip(before, again, strict=True):
        assert other == one | {"repeated": True, "elapsed_ms": other["elapsed_ms"]}


def test_partitions_that_are_added_under_it_are_read_too(
    settings: Settings, models: list[Model], tmp_path: Path
) -> None:
    sent = payments(900, customers=60)
    with Service(settings, tmp_path / "one").wait_until_ready() as service:
        admin = AdminClient(KafkaConfig.from_settings(settings).for_confluent())
        count = len(admin.list_topics(settings.transactions_topic).topics[settings.transactions_topic].partitions)
        (done,) = admin.create_partitions([NewPartitions(settings.transactions_topic, count + 3)]).values()
        done.result()
        answers = [service.post("/transactions", each).body for each in sent[:100]]
        answers += service.post("/transactions", sent[100:]).body
        expected = judged(settings, models[0])
        anomalies = {place for place, score in expected.items() if score.is_anomaly}
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and set(alerted(settings)) != anomalies:
            time.sleep(0.5)
    assert alerted(settings) == Counter(anomalies)
    assert any(partition >= count for partition, _ in anomalies)
    assert {answer["partition"] for answer in answers} >= set(range(count, count + 3))
    assert len(expected) == len(sent)
    assert all(same(answer, expected[answer["partition"], answer["offset"]]) for answer in answers)


def test_started_before_kafka_it_waits_and_says_for_what(settings: Settings, tmp_path: Path) -> None:
    nowhere = settings.model_copy(update={"kafka_bootstrap_servers": "127.0.0.1:1"})
    with Service(nowhere, tmp_path / "one") as service:
        deadline = time.monotonic() + 60
        while "does not answer" not in (said := service.said()) and time.monotonic() < deadline:
            time.sleep(0.2)
        assert "Kafka at 127.0.0.1:1 does not answer" in said
        assert service.get("/health").status == 200
        assert service.post("/transactions", payments(1)[0]).status == 503
        assert service.stop() == 0


class Unreadable(str):
    """A header's name that is not UTF-8, which kafka-python would not send otherwise."""

    def encode(self, *_: str) -> bytes:
        return b"\xff\xfe\x80"


def test_headers_that_are_not_utf_8_stop_nothing_on_any_topic_that_it_reads(settings: Settings, tmp_path: Path) -> None:
    producer = KafkaProducer(bootstrap_servers=settings.kafka_bootstrap_servers)
    first, second, third = payments(3)
    with Service(settings, tmp_path / "one").wait_until_ready() as service:
        for topic in (settings.transactions_topic, settings.early_alerts_topic, settings.thresholds_topic):
            for _ in range(20):
                producer.send(topic, b"{}", b"k", headers=[(Unreadable("x"), b"y")])
        producer.flush()
        assert service.post("/transactions", first).status == 200
        time.sleep(0.5)
        assert service.post("/transactions", second).status == 200
        assert service.get("/ready").status == 200
        service.kill()
    with Service(settings, tmp_path / "one").wait_until_ready() as service:
        assert service.post("/transactions", third).status == 200
    producer.close()


def test_the_id_of_another_payment_gets_no_answer_of_it(settings: Settings, tmp_path: Path) -> None:
    (payment,) = payments(1)
    with Service(settings, tmp_path / "one").wait_until_ready() as service:
        first = service.post("/transactions", payment).body
        of_another = service.post("/transactions", payment | {"customer_id": "somebody-else"})
        more = service.post("/transactions", payment | {"amount": payment["amount"] + 1})
        again = service.post("/transactions", payment).body
    assert "repeated" not in of_another.body
    assert of_another.body["offset"] is not None
    assert (more.status, more.body["title"], more.body["offset"]) == (409, "other contents", first["offset"])
    assert again == first | {"repeated": True}


@pytest.mark.slow
def test_a_topic_that_was_made_again_under_it_is_named_and_nothing_is_answered(
    settings: Settings, tmp_path: Path
) -> None:
    sent = payments(60)
    with Service(settings, tmp_path / "one").wait_until_ready() as service:
        assert service.post("/transactions", sent[:20]).status == 200
        service.process.send_signal(signal.SIGSTOP)
        make_again(settings, settings.transactions_topic)
        send(settings, messages([msgspec.convert(each, Transaction) for each in payments(400, seed=9)]))
        service.process.send_signal(signal.SIGCONT)
        deadline = time.monotonic() + 60
        while service.get("/ready").status == 200 and time.monotonic() < deadline:
            time.sleep(0.5)
        assert "made again" in service.said()
        assert "--rebuild" in service.said()
        assert service.post("/transactions", sent[30]).status == 503


def test_two_replicas_send_each_early_alert_once_also_when_one_is_killed(
    settings: Settings, models: list[Model], tmp_path: Path
) -> None:
    sent = [msgspec.convert(each, Transaction) for each in payments(4_000, customers=300)]
    with (
        Service(settings, tmp_path / "one").wait_until_ready() as one,
        Service(settings, tmp_path / "two").wait_until_ready() as two,
    ):
        for start in range(0, len(sent), 500):
            send(settings, messages(sent[start : start + 500]))
            if start == 1_500:
                one.kill()
            time.sleep(0.5)
        expected = {place for place, score in judged(settings, models[0]).items() if score.is_anomaly}
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and len(alerted(settings)) < len(expected):
            time.sleep(0.5)
        assert two.get("/ready").status == 200
    assert alerted(settings) == Counter(expected)
    assert len(expected) > 20


def alerted(settings: Settings) -> Counter[tuple[int, int]]:
    """The places of the transactions that early alerts are of, and how often each was sent."""
    found: Counter[tuple[int, int]] = Counter()
    for record in read_topic(settings.kafka_bootstrap_servers, settings.early_alerts_topic):
        score = exact(record.value)
        assert dict(record.headers)[PLACE_HEADER] == f"{score.partition}/{score.offset}".encode()
        assert (score.lane, score.micro_batch) == ("early", None)
        found[score.partition, score.offset] += 1
    return found


def test_a_promotion_is_taken_up_without_a_request_that_fails(
    settings: Settings, registry: ModelStore, tmp_path: Path
) -> None:
    with Service(settings, tmp_path / "one").wait_until_ready() as service:
        versions = []
        deadline = time.monotonic() + 120
        for number, payment in enumerate(each for seed in itertools.count(1) for each in payments(1_500, seed=seed)):
            assert time.monotonic() < deadline, f"version 2 was not taken up within {number} requests"
            if number == 300:
                registry.promote(2)
            found = service.post("/transactions", payment)
            assert found.status == 200
            versions.append(found.body["model_version"])
            if versions[-1] == 2 and number % 50 == 0:
                break
        assert sorted(set(versions)) == [1, 2]
        assert versions == sorted(versions)


@pytest.mark.long
def test_a_service_that_comes_to_a_running_job_begins_with_its_state(
    settings: Settings, models: list[Model], start: Callable[..., Application], tmp_path: Path
) -> None:
    sent = payments(300)
    early = [msgspec.convert(each, Transaction) for each in sent[:200]]
    send(settings, messages(early))
    out = tmp_path / "exported.parquet"
    with start(settings) as job:
        job.wait_until(lambda: count_of(settings, settings.scores_topic) == 200, "scores", 120)
        job.wait_until(lambda: exported(settings, out).startswith(f"{out}: 40 customers"), "an export", 120)
    with Service(settings, tmp_path / "one", "--initial-state", str(out)).wait_until_ready() as service:
        assert "scoreline_customers 40.0" in service.get("/metrics").body
        answers = [service.post("/transactions", each).body for each in sent[200:]]
    expected = judged(settings, models[0])
    assert all(same(answer, expected[answer["partition"], answer["offset"]]) for answer in answers)
    about = msgspec.json.decode(pq.read_metadata(out).metadata[OFFSETS_KEY], type=StateOf)
    assert sum(about.offsets.values()) == 200


def count_of(settings: Settings, topic: str) -> int:
    return len(read_topic(settings.kafka_bootstrap_servers, topic))


def exported(settings: Settings, out: Path) -> str:
    """What the command prints."""
    command = [sys.executable, "-m", "jobs", "state", "export", "--out", str(out)]
    return subprocess.run(command, env=os.environ | settings.environment(), capture_output=True, text=True).stdout


def test_where_nothing_ran_there_is_no_state_to_export(settings: Settings, tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "jobs",
        "state",
        "export",
        "--out",
        str(tmp_path / "x"),
        "--checkpoint",
        str(tmp_path),
    ]
    done = subprocess.run(command, env=os.environ | settings.environment(), capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert "has no finished micro-batch" in done.stderr


@pytest.mark.parametrize("fallback", ["approve", "decline"])
def test_without_a_judgement_in_time_the_fallback_is_answered_and_says_so(
    settings: Settings, tmp_path: Path, fallback: str
) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text(f"fallback: {fallback}\n")
    with Service(settings, tmp_path / "one", "--serve-policy", str(policy)).wait_until_ready() as service:
        (payment,) = payments(1)
        found = service.post("/transactions?timeout_ms=1", payment).body
        assert (found["decision"], found["decided_by"]) == (fallback, "fallback")
        assert found["degraded"] == "no judgement within 1 ms"
        deadline = time.monotonic() + 10
        while (
            "anomaly_score" not in (again := service.post("/transactions", payment).body)
            and time.monotonic() < deadline
        ):
            time.sleep(0.05)
        assert again["decided_by"] == "model"
