"""The whole way: from Kafka to receivers, through kills, hostile records and 200 alerts a second."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from confluent_kafka import Producer

from detection.durable_folder import DurableFolder
from messaging import events
from messaging.config import KafkaConfig
from messaging.events import drain, publish
from ml.schema import Event, Reason
from notifications.books import State, decoded
from notifications.delivery import listen_to_answers, quiet_apprise
from notifications.errors import NotificationError
from notifications.kept import Kept
from notifications.notifier import Notifier
from notifications.policy_file import PolicyOnDisk
from settings import Settings
from tests.notifications.making import alert
from tests.notifications.receivers import Hooks, hooks
from tests.notifications.test_wording import score

POLICY = """
channels:
  desk: {{url: "json://{host}/desk", rate: {{messages: 5, per: 1h}}, digest: {{every: 2s}}}}
  dead: {{url: "json://{host}/hang?rto=2", give_up_after: 1h}}
  ops: {{url: "json://{host}/ops"}}
routes:
  - {{name: alerts, match: 'record == "alert"', channels: [dead, desk], group_wait: 0s, group_interval: 1s}}
  - {{name: events, match: 'record == "event"', channels: [ops], group_wait: 0s}}
"""


class Nothing:
    """Records that never come."""

    items: list[Any] = []  # noqa: RUF012

    def assign(self, offsets: object, from_end: bool) -> None:
        pass

    def read(self, wait_seconds: float, offsets: object) -> tuple[list[Any], dict[str, int]]:
        items, self.items = self.items, []
        return items, {}


def written(tmp_path: Path, host: str) -> Path:
    path = tmp_path / "policy.yaml"
    path.write_text(POLICY.format(host=host))
    return path


def alerts(topics: Settings, numbers: range, *others: bytes) -> None:
    producer = Producer(KafkaConfig.from_settings(topics).for_confluent())
    reasons = [Reason("speed_kmh", 2_000.0, 0.0, 120.0)]
    for number in numbers:
        made = score(transaction_id=f"t{number}", customer_id=f"c{number % 7}", offset=number, reasons=reasons)
        producer.produce(topics.alerts_topic, msgspec.json.encode(made), made.customer_id)
    for value in others:
        producer.produce(topics.alerts_topic, value)
    assert producer.flush(30) == 0


def started(topics: Settings, policy: Path, tmp_path: Path) -> subprocess.Popen[bytes]:
    flags = ["--notify-policy", str(policy), "--notify-state", str(tmp_path / "state"), "--from-beginning"]
    command = [sys.executable, "-m", "notifications", *flags]
    with (tmp_path / "errors").open("ab") as errors:
        return subprocess.Popen(command, env=os.environ | topics.environment(), stderr=errors)


def counted(got: Hooks, path: str) -> dict[str, int]:
    """By delivery: how many alerts it counts."""
    found = {}
    for sent in got.got.get(path, []):
        delivery = re.search(r"delivery (\S+)", sent["message"])
        count = re.search(r"(\d+) (?:alerts?\b|in this digest)", sent["title"])
        assert delivery
        assert count
        found[delivery[1]] = int(count[1])
    return found


def wait_for(done: Any, seconds: float = 90) -> bool:
    until = time.monotonic() + seconds
    while not done() and time.monotonic() < until:
        time.sleep(0.1)
    return bool(done())


def test_each_alert_is_notified_of_through_a_kill_beside_a_dead_channel_and_foreign_records(
    topics: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "_outboxes", {})  # other tests leave events for brokers that there are not
    with hooks() as (got, host):
        policy = written(tmp_path, host)
        process = started(topics, policy, tmp_path)
        try:
            alerts(topics, range(40), b"{", b"\xff\x00", b"[" * 5_000, b'{"schema_version": 99}')
            publish(
                topics, Event(at=datetime.now(UTC), kind="drift", severity="warning", subject="m", words="It drifts.")
            )
            assert drain(20) == 0
            assert wait_for(lambda: got.got.get("/desk") and got.got.get("/ops"))
            process.kill()
            process.wait()
            alerts(topics, range(20, 90))  # of which the job sent 20 before
            process = started(topics, policy, tmp_path)
            assert wait_for(lambda: sum(counted(got, "/desk").values()) + waiting(tmp_path) >= 90), counted(
                got, "/desk"
            )
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0
        finally:
            process.kill()
            process.wait()
        assert sum(counted(got, "/desk").values()) + waiting(tmp_path) == 90
        assert len(counted(got, "/desk")) <= 5
        assert len({sent["message"].split("delivery ")[1] for sent in got.got["/ops"]}) == 1
        assert "drift, m" in got.got["/ops"][0]["title"]
        assert "2,000 km/h since the place before" in got.got["/desk"][0]["message"]
        errors = (tmp_path / "errors").read_text()
        assert "Traceback" not in errors
        assert "dead: message" in errors
        lines = [json.loads(line) for line in (tmp_path / "state" / "deliveries.jsonl").read_text().splitlines()]
        assert {(line["channel"], line["outcome"]) for line in lines} >= {("desk", "delivered"), ("dead", "retried")}
        assert all(line["delivery"] and line["why"] for line in lines if line["outcome"] != "delivered")


def waiting(tmp_path: Path) -> int:
    """Alerts that the state holds for the desk: those above its rate, which are for its next digest."""
    content = DurableFolder.on_disk(tmp_path / "state").read_newest("state")
    state = State() if content is None else decoded(content)
    digest = sum(line.tally.count for line in state.books["desk"].digest.values()) if "desk" in state.books else 0
    return digest + sum(group.pending.count for group in state.groups.values() if group.channel == "desk")


@pytest.fixture
def quiet() -> None:
    listen_to_answers()
    quiet_apprise()


@pytest.mark.usefixtures("quiet")
def test_a_message_whose_delivery_was_not_recorded_is_sent_again_under_its_id(tmp_path: Path) -> None:
    with hooks() as (got, host):
        policy, kept, records = PolicyOnDisk(written(tmp_path, host)), Kept(tmp_path / "state"), Nothing()
        records.items = [alert(1)]
        first = Notifier(policy, records, kept, from_end=False)  # type: ignore[arg-type]
        first.step(0)
        got.wait("/desk")
        kept.close()  # killed before it took in what came of it
        again = Kept(tmp_path / "state")
        second = Notifier(policy, Nothing(), again, from_end=False)  # type: ignore[arg-type]
        assert len(got.wait("/desk", 2)) == 2
        assert list(counted(got, "/desk")) == ["desk/2-1"]
        wait_for(lambda: second.step(0) or "desk" not in {m.channel for m in second.state.outbox}, 20)
        assert [message.channel for message in second.state.outbox] == ["dead"]
        second.run(lambda: False)
        with pytest.raises(NotificationError, match="used by another process"):
            Kept(tmp_path / "state")
        again.close()


@pytest.mark.usefixtures("quiet")
def test_200_alerts_a_second_for_minutes_stay_bounded(tmp_path: Path) -> None:
    with hooks() as (_, host):
        policy, kept, now = PolicyOnDisk(written(tmp_path, host)), Kept(tmp_path / "state"), [1_767_225_600.0]
        records = Nothing()
        notifier = Notifier(policy, records, kept, from_end=False, clock=lambda: now[0])  # type: ignore[arg-type]
        notifier._save = lambda: None  # type: ignore[method-assign]  # its size is what counts here
        for second in range(200):
            records.items = [alert(200 * second + n, f"c{200 * second + n}", at=now[0]) for n in range(200)]
            notifier.step(0)
            now[0] += 1
        assert len(notifier.state.groups) <= 20_000
        assert len(notifier.state.outbox) <= 60
        assert len(notifier.state.encoded()) < 20_000_000
        assert notifier.state.counted["alerts taken"] == 40_000
        notifier.run(lambda: False)
        kept.close()


def test_a_damaged_state_is_one_clear_line(tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    kept.save(State(numbers=7))
    found = kept.read()
    assert found is not None
    assert found.numbers == 7
    kept._files.write_newest("state", b"\x01\x02")
    with pytest.raises(NotificationError, match="is damaged"):
        kept.read()
    kept.close()
