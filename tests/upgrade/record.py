"""Records what a release writes: run in a checkout of it, with its environment, `python record.py ARCHIVE.tar.xz`.

A small bank's history is folded, a model is trained and promoted, and a job scores some hundred payments, a few of which are
no transactions. The archive holds the registry, the initial state, the checkpoint and the records of all topics.
"""

import base64
import json
import os
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path.cwd()))

from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from stack.local import Stack

TOPICS: Final = ("transactions", "scores", "alerts", "invalid", "thresholds", "labels", "truth")
PAYMENTS: Final = 600
NO_TRANSACTIONS: Final = (b"hello", b'{"transaction_id": "X1"}', b"\xff\xfe")


def main(archive: Path) -> None:
    with tempfile.TemporaryDirectory() as temporary, Stack(Path(temporary, "stack")) as stack:
        out = Path(temporary, "recorded")
        out.mkdir()
        environment = os.environ | {
            "KAFKA_BOOTSTRAP_SERVERS": stack.kafka.bootstrap_servers,
            "INFLUXDB_URL": stack.influxdb.url,
            "INFLUXDB_BUCKET": stack.influxdb.create_database("recorded"),
            "INFLUXDB_TOKEN": "",
            "MLFLOW_TRACKING_URI": f"sqlite:///{out}/registry/mlflow.db",
            "SCORELINE_CHECKPOINT": f"{out}/checkpoint",
            "SCORELINE_LOG_DIR": f"{temporary}/logs",
            "SCORELINE_ADAPTIVE_THRESHOLDS": "true",
            **{f"SCORELINE_{topic.upper()}_TOPIC": f"recorded.{topic}" for topic in TOPICS},
        }
        (out / "registry").mkdir()
        os.environ.update(environment)
        create()
        python(
            "generator", "history", "--out", f"{temporary}/history", "--customers", "40", "--days", "20", "--seed", "5"
        )
        train = "train", f"{temporary}/history", "--no-extras", "--promote", "--state-out", f"{out}/state"
        python("ml", *train, "--budget", "0.05")
        send("--count", str(PAYMENTS), "--rate", "0", "--history", f"{temporary}/history")
        send_bytes(stack.kafka.bootstrap_servers)
        detect(out, stack.kafka.bootstrap_servers)
        for topic in TOPICS:
            lines = [json.dumps(record) for record in records(stack.kafka.bootstrap_servers, f"recorded.{topic}")]
            (out / f"{topic}.jsonl").write_text("".join(f"{line}\n" for line in lines))
        (out / "made_at").write_text(str(out))  # the registry and Spark's files name absolute paths
        with tarfile.open(archive, "w:xz") as packed:
            packed.add(out, ".")


def create() -> None:
    code = "from settings import Settings\ntry:\n from messaging.topics import create_topics\nexcept ImportError:\n"
    code += " from stack.topics import create_topics\ncreate_topics(Settings())"
    subprocess.run([sys.executable, "-c", code], check=True)


def python(*arguments: str) -> None:
    subprocess.run([sys.executable, "-m", *arguments], check=True)


def send(*flags: str) -> None:
    python("generator", "send", *flags)


def send_bytes(brokers: str) -> None:
    producer = KafkaProducer(bootstrap_servers=brokers)
    for value in NO_TRANSACTIONS:
        producer.send("recorded.transactions", value, key=b"X")
    producer.close()


def detect(out: Path, brokers: str) -> None:
    command = [sys.executable, "-m", "jobs", "submit", "--conf", "spark.ui.enabled=false"]
    job = subprocess.Popen([*command, "--initial-state", str(next((out / "state").rglob("*.parquet")))])
    commits = {query: out / "checkpoint" / query / "commits" / "0" for query in ("detect", "publish", "thresholds")}
    wait(lambda: all(commit.exists() for commit in commits.values()), job)
    wait(lambda: len(list(records(brokers, "recorded.scores"))) >= PAYMENTS, job)
    time.sleep(25)  # publish and thresholds take the scores up
    job.send_signal(signal.SIGTERM)
    job.wait(60)


def wait(reached: Callable[[], bool], job: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + 400
    while not reached():
        assert job.poll() is None, "the job ended"
        assert time.monotonic() < deadline, "it takes too long"
        time.sleep(1)


def records(brokers: str, topic: str) -> list[dict[str, object]]:
    consumer = KafkaConsumer(bootstrap_servers=brokers)
    partitions = [TopicPartition(topic, number) for number in sorted(consumer.partitions_for_topic(topic) or ())]
    consumer.assign(partitions)
    consumer.seek_to_beginning(*partitions)
    ends, found = consumer.end_offsets(partitions), []
    while any(consumer.position(partition) < end for partition, end in ends.items()):
        for batch in consumer.poll(500).values():
            found += [as_json(record) for record in batch]
    consumer.close()
    return sorted(found, key=lambda record: (record["partition"], record["offset"]))


def as_json(record: object) -> dict[str, object]:
    def text(value: bytes | None) -> str | None:
        return None if value is None else base64.b64encode(value).decode()

    headers = [[name, text(value)] for name, value in record.headers]  # type: ignore[attr-defined]
    places = {name: getattr(record, name) for name in ("partition", "offset", "timestamp")}
    return places | {"key": text(record.key), "value": text(record.value), "headers": headers}  # type: ignore[attr-defined]


if __name__ == "__main__":
    main(Path(sys.argv[1]).absolute())
