"""What others write, a clock that jumps and a start without Kafka silence no channel, lose nothing and flood nobody."""

import json
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from confluent_kafka import KafkaError
from hypothesis import given
from hypothesis import strategies as st
from kafka import KafkaAdminClient

from messaging.config import KafkaConfig
from messaging.topics import create_topics
from ml.schema import Event, Reason
from notifications.books import State
from notifications.delivery import listen_to_answers, quiet_apprise
from notifications.grouping import Grouping
from notifications.items import Item, of_event
from notifications.kept import Kept
from notifications.notifier import Notifier
from notifications.policy import Policy
from notifications.policy_file import PolicyOnDisk
from notifications.records import KafkaProblem, Records, item_of
from notifications.wording import Wording
from settings import Settings
from tests.notifications.making import alert, event, policy
from tests.notifications.receivers import hooks
from tests.notifications.test_notifier import Nothing, alerts, written
from tests.notifications.test_wording import case, score

FAR = ("0001-01-01T00:00:00+14:00", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999Z", "9999-12-31T23:59:59-14:00")
ODD = ("{{ 7 * 7 }}", "{% raw %}", "a\r\nBcc: x@y", "<b>&amp;", "\u202eabc", "😀" * 60, "\x00", "' or 1=1 --", "[a](b)")
NOW = 1_767_225_600.0


def hostile() -> Iterator[Item]:
    """Alerts and events that can be read, and yet are nothing that anybody would send."""
    plain = json.loads(msgspec.json.encode(score(reasons=[Reason("speed_kmh", 1.7e308, -1.7e308, 5e-324)])))
    for moment in FAR:
        yield item_of(json.dumps(plain | {"event_time": moment}).encode())
        found = msgspec.json.decode(
            json.dumps({"at": moment, "kind": "drift", "severity": "critical", "subject": "m", "words": "w"}),
            type=Event,
        )
        yield of_event(found, "0/1")
    for text in ODD:
        texts = dict.fromkeys(("transaction_id", "customer_id", "merchant_id", "device_id", "currency"), text)
        yield item_of(json.dumps(plain | texts | {"amount": 1.7e308}).encode())


@pytest.mark.parametrize("form", ["text", "markdown", "html"])
def test_whatever_can_be_read_can_be_written(form: str) -> None:
    wording = Wording(None, None)
    for item in hostile():
        for kind in ("case", "update", "digest"):
            title, body = wording.of(case(item, kind), form)
            assert "\n" not in title
            assert body


@pytest.fixture
def quiet() -> None:
    listen_to_answers()
    quiet_apprise()


@pytest.mark.usefixtures("quiet")
def test_a_message_that_cannot_be_written_is_given_up_and_the_next_one_leaves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(_: Wording, message: Any, *__: object) -> tuple[str, str]:
        if message.new.shown[0].names.customer_id == "poison":
            raise RecursionError("too deep")
        return "title", f"delivery {message.channel}/{message.id}"

    monkeypatch.setattr(Wording, "of", write)
    with hooks() as (got, host):
        kept, records = Kept(tmp_path / "state"), Nothing()
        notifier = Notifier(PolicyOnDisk(written(tmp_path, host)), records, kept, from_end=False)  # type: ignore[arg-type]
        records.items = [alert(1, "poison"), alert(2, "sound")]
        notifier.step(0)
        assert len(got.wait("/desk", 1, 20)) == 1
        notifier.run(lambda: False)
        assert notifier.state.counted["failed desk"] == 1
        assert notifier.state.books["desk"].undelivered == 1
        kept.close()


def rated(messages: int) -> Policy:
    return policy(f"""
channels:
  desk: {{url: "json://h", rate: {{messages: {messages}, per: 1h}}, digest: {{every: 10m}}}}
routes:
  - {{name: all, match: 'record == "alert"', channels: [desk], group_wait: 30s}}
  - {{name: events, match: 'record == "event"', channels: [desk], group_wait: 0s, repeat_interval: 1h}}
""")


@given(st.floats(120, 40 * 365 * 86_400), st.integers(0, 6))
def test_a_clock_that_was_ahead_for_a_while_holds_nothing_back(ahead: float, waiting: int) -> None:
    grouping = Grouping(rated(100))
    for number in range(waiting):
        grouping.take(alert(number, f"c{number}"), NOW + ahead)
    grouping.take(event(1), NOW + ahead)
    sent = grouping.due(NOW + ahead)  # the event, and with many alerts nothing of them yet
    counted = sum(message.count for message in sent)
    restarted = Grouping(rated(100), msgspec.msgpack.decode(msgspec.msgpack.encode(grouping.state), type=State))
    for second in (1, 40, 700, 1_500):
        counted += sum(message.count for message in restarted.due(NOW + second))
    assert counted == waiting + 1
    later = restarted.due(NOW + 3_700)
    assert [message.kind for message in later] == ["repeat"]


def test_a_clock_that_was_ahead_lets_no_more_messages_through_than_the_rate() -> None:
    grouping = Grouping(rated(3))
    for number in range(3):
        grouping.take(alert(number, f"c{number}"), NOW)
    assert len(grouping.due(NOW + 30)) == 3
    for number in range(3, 9):
        grouping.take(alert(number, f"c{number}"), NOW - 7_000)
    found = [message for second in range(0, 3_000, 30) for message in grouping.due(NOW - 7_000 + second)]
    assert not found


class NoKafka(Nothing):
    """A Kafka that can't be reached."""

    def assign(self, offsets: object, from_end: bool) -> None:
        raise KafkaProblem(KafkaError(KafkaError._TRANSPORT))

    def trouble(self, error: KafkaProblem) -> str:
        return str(error)


class Noting(Nothing):
    """Notes where reading was to begin."""

    from_end: bool | None = None

    def assign(self, offsets: object, from_end: bool) -> None:
        self.from_end = from_end


def test_a_first_start_without_kafka_and_a_second_one_with_it_begin_with_what_comes_from_then_on(
    tmp_path: Path,
) -> None:
    with hooks() as (_, host):
        kept = Kept(tmp_path / "state")
        Notifier(PolicyOnDisk(written(tmp_path, host)), NoKafka(), kept).step(0)  # type: ignore[arg-type]
        kept.close()  # killed
        kept, records = Kept(tmp_path / "state"), Noting()
        Notifier(PolicyOnDisk(written(tmp_path, host)), records, kept).step(0)  # type: ignore[arg-type]
        assert records.from_end is True
        kept.close()


def test_a_broker_that_does_not_say_where_a_partition_ends_is_a_problem_of_kafka_and_no_crash(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Silent:
        def get_watermark_offsets(self, *_: object) -> None:
            return None

    records = Records(KafkaConfig("127.0.0.1:1"), ("alerts",), "events")
    monkeypatch.setattr(records, "_consumer", Silent())
    with pytest.raises(KafkaProblem):
        records._end("alerts", 0)


def test_a_topic_that_is_made_again_is_read_from_its_beginning(topics: Settings) -> None:
    kafka = KafkaConfig.from_settings(topics)
    offsets: dict[str, dict[int, int]] = {}
    alerts(topics, range(3))
    assert read(topics, offsets, 3) == {0, 1, 2}
    with closing(KafkaAdminClient(**kafka.for_kafka_python())) as admin:
        admin.delete_topics([topics.alerts_topic])
        until = time.monotonic() + 60
        while topics.alerts_topic in admin.list_topics():
            assert time.monotonic() < until
            time.sleep(0.05)
    create_topics(topics)
    alerts(topics, range(100, 120))  # more than were on it before
    assert read(topics, offsets, 20) == set(range(100, 120))
    assert read(topics, offsets, 0) == set()


def read(topics: Settings, offsets: dict[str, dict[int, int]], wanted: int) -> set[int]:
    """The numbers of the alerts that a new process reads, at least so many."""
    records = Records(KafkaConfig.from_settings(topics), (topics.alerts_topic,), topics.events_topic)
    found: list[Item] = []
    until = time.monotonic() + 60
    with closing(records):
        records.assign(offsets, from_end=False)
        while len(found) < wanted and time.monotonic() < until:
            found += records.read(0.2, offsets)[0]
        found += records.read(0.2, offsets)[0]
    return {int(item.names.transaction_id.removeprefix("t")) for item in found}


def test_a_record_that_takes_the_place_of_another_transaction_hides_it_not() -> None:
    assert item_of(msgspec.json.encode(score())).key != item_of(msgspec.json.encode(score(transaction_id="u"))).key


def test_a_feature_that_is_called_as_a_field_changes_no_field() -> None:
    found = item_of(msgspec.json.encode(score(customer_id="c9", named_features={"customer_id": 1.0, "amount": 7e9})))
    assert (found.facts["customer_id"], found.facts["amount"]) == ("c9", 5.0)


ROUTES = "\nroutes: [{name: a, match: 'true', channels: [desk]}]"
BROKEN = (
    "",
    "\x00",
    "channels: [",
    "a: &a [*a, *a]",
    "channels: {desk: {url: 'json://u:hunter2-is-secret@h'}\nroutes: [",
    "channels:\n  desk: {url: json://u:hunter2-is-secret@h, rate: }}\nroutes: []",
    "? [hunter2-is-secret, {\n",
    "channels: {desk: {url: 'nosuch://u:hunter2-is-secret@h'}}" + ROUTES,
    "channels: {desk: {url: 'mailto://'}}" + ROUTES,
    "channels: {desk: {url: 'json://[::1:h'}}" + ROUTES,
    "channels: {desk: {url: 'json://h', templates: {title: '{{ nothing }}'}}}" + ROUTES,
    "channels: {desk: {url: 'json://h', templates: {body: '{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}'}}}"
    + ROUTES,
    "channels: {desk: {url: 'json://h', time_zone: ../../etc/passwd}}" + ROUTES,
    "channels: {desk: {url: 'json://h', digest: {at: ['25:00']}}}" + ROUTES,
    "channels: {desk: {url: 'json://h', rate: {messages: 1, per: 0s}}}" + ROUTES,
    "channels: {desk: {url: 'json://h'}}" + ROUTES.replace("true", "amount > "),
    "channels: {desk: {url: 'json://h'}}" + ROUTES.replace("true", "(" * 5_000),
    "channels: {desk: {url: 'json://h'}}" + ROUTES + "\nsilences: [{match: 'true', until: 2026-01-01, reason: r}]",
)


def test_an_edit_that_is_broken_leaves_the_policy_in_force_and_is_said_once_without_its_secrets(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("notifications.policy_file._LOOK_SECONDS", 0.0)
    path = written(tmp_path, "h")
    file = PolicyOnDisk(path)
    before = file.policy
    for text in BROKEN:
        caplog.clear()
        path.write_text(text)
        assert not file.look(), text
        assert file.policy is before
        assert not file.look()
        said = [record for record in caplog.records if record.name != "apprise"]  # which the program silences
        assert [record.levelname for record in said] == ["ERROR"], text
        assert "hunter2" not in caplog.text
        assert "\n" not in said[0].getMessage()
    path.write_bytes(b"\xff\xfe\x00")
    assert not file.look()
    written(tmp_path, "h2")
    assert file.look()


def test_an_edit_of_a_rate_sends_nothing_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("notifications.policy_file._LOOK_SECONDS", 0.0)
    with hooks() as (got, host):
        path = written(tmp_path, host)
        path.write_text(path.read_text().replace("/desk", "/hang"))
        kept, records = Kept(tmp_path / "state"), Nothing()
        notifier = Notifier(PolicyOnDisk(path), records, kept, from_end=False)  # type: ignore[arg-type]
        records.items = [alert(1)]
        notifier.step(0)
        assert got.wait_at("/hang", 2)
        path.write_text(path.read_text().replace("messages: 5", "messages: 6"))
        notifier.step(0)
        assert notifier._grouping._policy.channels["desk"].rate.messages == 6
        got.ended.set()
        got.wait("/hang", 2)
        notifier.run(lambda: False)
        assert len([sent for sent in got.got["/hang"] if "delivery desk/" in sent["message"]]) == 1
        kept.close()


def test_an_event_of_any_time_is_kept_and_read_again(tmp_path: Path) -> None:
    state = State()
    grouping = Grouping(rated(3), state)
    for item in hostile():
        grouping.take(item, datetime(2026, 1, 1, tzinfo=UTC).timestamp())
    kept = Kept(tmp_path / "state")
    kept.save(state)
    assert kept.read() == state
    kept.close()
