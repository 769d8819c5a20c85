"""Data sets replayed into a real Kafka."""

import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import numpy as np
import pytest

from detection.message_parsing import parse
from generator.labels import Reporting
from generator.producer import Outbox
from generator.replay.errors import ReplayError
from generator.replay.mapping import load_mapping
from generator.replay.place import KeptPlace
from generator.replay.play import Pace, Player
from generator.replay.stream import DataSet
from generator.send import Topics
from messaging.config import KafkaConfig
from ml.schema import Label
from settings import Settings
from tests.generator.replay_data import PROMPT, SAMPLES, csv_file, mapping
from tests.generator.test_command_line import run
from tests.support.kafka import read_topic


@pytest.mark.parametrize(("name", "rows", "frauds"), [("paysim", 1120, 16), ("sparkov", 320, 23), ("ulb", 150, 6)])
def test_a_sample_arrives_as_transactions_that_the_job_takes(
    topics: Settings, tmp_path: Path, name: str, rows: int, frauds: int
) -> None:
    wanted = ("--format", name, "--speed", "max", "--flush-labels", "--work", tmp_path)
    code, out, err = run("replay", SAMPLES / f"{name}.csv", *wanted, **topics.environment())
    assert (code, err) == (0, "")
    assert out.startswith(f"{rows:,} transactions in ")
    sent = {}
    for record in read_topic(topics.kafka_bootstrap_servers, topics.transactions_topic):
        transaction = parse(record.value)
        assert record.key == transaction.customer_id.encode()
        sent[transaction.transaction_id] = transaction
    assert len(sent) == rows
    truth, labels = read_labels(topics, topics.truth_topic), read_labels(topics, topics.labels_topic)
    assert len(truth) == len(labels) == frauds
    assert {label.transaction_id: label.customer_id for label in truth} == {
        label.transaction_id: sent[label.transaction_id].customer_id for label in labels
    }
    assert all(label.label_time > sent[label.transaction_id].event_time for label in labels)
    assert all(label.scenario is None for label in labels)


def read_labels(topics: Settings, topic: str) -> list[Label]:
    return [msgspec.json.decode(one.value, type=Label) for one in read_topic(topics.kafka_bootstrap_servers, topic)]


def player(topics: Settings, data: DataSet, folder: Path, pace: Pace, reporting: Reporting = PROMPT) -> Player:
    names = Topics(topics.transactions_topic, topics.labels_topic, topics.truth_topic)
    outbox = Outbox(KafkaConfig.from_settings(topics), (names.transactions, names.labels, names.truth), 5)
    place = KeptPlace(folder / "place.json", data.identity, names.transactions)
    return Player(data, outbox, names, pace, reporting, place, folder / "rejects.jsonl")


def ids(topics: Settings) -> list[str]:
    return [
        parse(one.value).transaction_id for one in read_topic(topics.kafka_bootstrap_servers, topics.transactions_topic)
    ]


def test_kafka_timestamps_keep_the_datas_own_rhythm_at_so_many_times_its_pace(topics: Settings, tmp_path: Path) -> None:
    data = DataSet(csv_file(tmp_path, "0,c1,1,0", "100,c1,2,0", "100,c1,3,1", "250,c1,4,0"), mapping(tmp_path))
    before = time.time() * 1000
    played, _ = player(topics, data, tmp_path, Pace(speed=100)).run()
    times = [one.timestamp for one in read_topic(topics.kafka_bootstrap_servers, topics.transactions_topic)]
    assert before - 1 <= times[0]
    assert np.diff(times).tolist() == pytest.approx([1000, 0, 1500], abs=1)
    assert played.seconds >= 2.5
    assert [label.is_fraud for label in read_labels(topics, topics.labels_topic)] == [
        True
    ]  # prompt, and so due at once


def test_a_replay_that_was_stopped_goes_on_without_a_gap_or_a_repetition(topics: Settings, tmp_path: Path) -> None:
    lines = [f"{n},c{n % 7},{n},{int(n % 10 == 0)}" for n in range(400)]
    week = Reporting(median_days=100 / 86_400, spread=0, never=0, wrong=0, false_alarms=0)
    data = DataSet(csv_file(tmp_path, *lines), mapping(tmp_path))
    first = player(topics, data, tmp_path, Pace(speed=100), week)
    threading.Timer(1.5, first.stop).start()
    played, _ = first.run()
    assert first.stopped
    assert 50 < played.sent < 390
    assert played.labels_under_way > 0
    second = player(topics, data, tmp_path, Pace(flush_labels=True), week)
    second.resume = True
    rest, _ = second.run()
    assert played.sent + rest.sent == 400
    assert sorted(ids(topics)) == [f"plain-{n + 2:010}" for n in range(400)]
    labels = [label.transaction_id for label in read_labels(topics, topics.labels_topic)]
    assert sorted(labels) == [f"plain-{n + 2:010}" for n in range(0, 400, 10)]
    assert not (tmp_path / "place.json").exists()


@pytest.mark.parametrize("start", [302, datetime(1970, 1, 1, 0, 5, tzinfo=UTC)])
def test_what_is_before_the_start_is_left_out_and_counted(
    topics: Settings, tmp_path: Path, start: int | datetime
) -> None:
    data = DataSet(csv_file(tmp_path, *(f"{n},c1,1,0" for n in range(400))), mapping(tmp_path))
    played, _ = player(topics, data, tmp_path, Pace(start=start)).run()
    assert (played.sent, played.before_start) == (100, 300)
    assert min(ids(topics)) == "plain-0000000302"


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("--speed", "0"), "error: --speed has to be a number above 0 (1 for the data's own pace), or max, but is '0'"),
        (("--from", "2019-06-01"), "error: --from has to be a row's number, or a time in ISO 8601 with zone"),
        (("--resume",), "error: there is no stopped replay to resume"),
    ],
)
def test_what_can_not_be_done_is_one_line(
    topics: Settings, tmp_path: Path, arguments: tuple[str, ...], complaint: str
) -> None:
    wanted = ("replay", SAMPLES / "ulb.csv", "--format", "ulb", "--work", tmp_path, *arguments)
    code, out, err = run(*wanted, **topics.environment())
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert err.startswith(complaint)


def test_the_formats_that_come_along_are_named_when_another_is_asked_for() -> None:
    with pytest.raises(
        Exception,
        match="--format has to be baf, banksim, history, ibm-aml, ieee-cis, paysim, sparkov, tabformer, ulb or a mapping "
        "file, but nonsense",
    ):
        load_mapping("nonsense")


@pytest.mark.parametrize("content", [b"", b"{}", b'{"identity":"\xff"}'])
def test_a_damaged_place_is_one_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "place.json").write_bytes(content)
    with pytest.raises(ReplayError, match="there is no stopped replay to resume"):
        KeptPlace(tmp_path / "place.json", "identity", "topic").read()
