"""The instruments that look at processes, at the disk and at Kafka."""

import doctest
import importlib
import json
import os
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import msgspec
import numpy as np
import psutil
import pyarrow as pa
import pytest

from bench.figures import Window
from bench.gauges import PYTHON, WORKERS, Gauges
from bench.inputs import ENCODED
from bench.outputs import Topic
from bench.result import load
from bench.sender import rows, send
from bench.stored import folder_bytes, newest_version_bytes
from generator.producer import Outbox
from messaging.config import KafkaConfig
from settings import Settings

# A process that works with a child of its own, whose command line is that of Spark's Python workers.
BUSY = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-m", "some.worker_daemon"], cwd=sys.argv[1])
time.sleep(60)
"""


@pytest.fixture
def encoded(tmp_path: Path) -> Path:
    """A file of 1,000 rows in pieces of 300."""
    path = tmp_path / "transactions.arrow"
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, ENCODED) as writer:
        names = [b"%d" % number for number in range(1_000)]
        table = pa.table(
            [pa.array(names), pa.array([b'{"kafka_time": 7, "n": %b}' % name for name in names])], schema=ENCODED
        )
        writer.write_table(table, max_chunksize=300)
    return path


@pytest.mark.parametrize(("skip", "count"), [(0, 1_000), (0, 1), (299, 2), (300, 300), (650, 350), (999, 1)])
def test_any_part_of_the_file_can_be_sent(encoded: Path, skip: int, count: int) -> None:
    keys = [key for some, _ in rows(encoded, skip, count) for key in some]
    assert keys == [b"%d" % number for number in range(skip, skip + count)]


def test_cpu_and_memory_are_told_apart_by_process(tmp_path: Path) -> None:
    (tmp_path / "some").mkdir()
    (tmp_path / "some" / "worker_daemon.py").write_text("while True: pass")
    command = [sys.executable, "-c", BUSY, str(tmp_path)]
    with subprocess.Popen(command, start_new_session=True) as process:
        try:
            while not psutil.Process(process.pid).children():  # memory is read at once, and then only now and again
                time.sleep(0.05)
            with Gauges({"absent": None, "this": os.getpid()}, lambda: process.pid) as gauges:
                begin = int(time.time() * 1000) + 500
                time.sleep(2.5)
            used = gauges.cpu_seconds(Window(begin, begin + 1_500))
        finally:
            os.killpg(process.pid, 9)
    assert set(used) == {"this", PYTHON, WORKERS}
    assert used[WORKERS] > used[PYTHON] >= 0
    assert used[WORKERS] > 0.1
    memory = gauges.memory_at_most()
    assert memory[WORKERS] > 1 << 20
    assert memory[PYTHON] > 1 << 20


def test_the_newest_version_is_the_newest_snapshot_and_the_changes_since(tmp_path: Path) -> None:
    for version in (1, 2, 3, 4, 5):
        (tmp_path / f"{version}.changelog").write_bytes(b"x" * 100)
    assert newest_version_bytes(tmp_path) == 500
    for version, size in ((2, 10_000), (4, 20_000)):
        with zipfile.ZipFile(tmp_path / f"{version}_unique-id.zip", "w") as archive:
            archive.writestr("metadata", "v1\n" + json.dumps({"sstFiles": [{"sizeBytes": size}], "numKeys": 3}))
    archive_size = (tmp_path / "4_unique-id.zip").stat().st_size
    assert newest_version_bytes(tmp_path) == 20_000 + archive_size + 100
    assert folder_bytes(tmp_path) > 500


def test_what_a_paced_sender_sends_is_read_with_the_times_at_which_it_was_due(topics: Settings, encoded: Path) -> None:
    servers, topic = topics.kafka_bootstrap_servers, topics.scores_topic
    outbox = Outbox(KafkaConfig(servers), (topic,), 5)
    sent = send(outbox, topics.transactions_topic, rows(encoded, 0, 500), rate=500.0)
    assert sent.records == 500
    assert sent.last_ms - sent.first_ms == pytest.approx(998, abs=2)
    inputs = Topic(servers, topics.transactions_topic)
    assert inputs.size() == 500
    found = inputs.read(with_inputs=True)
    np.testing.assert_allclose(found.written, sent.first_ms + 2 * np.arange(500), atol=1)
    assert set(found.sent) == {7}
    assert len(inputs.read(with_inputs=True).written) == 0
    send(Outbox(KafkaConfig(servers), (topic,), 5), topics.transactions_topic, rows(encoded, 500, 300), rate=0.0)
    later = inputs.read(with_inputs=False)
    assert len(later.written) == 300
    assert len(later.since(1).written) == 0
    inputs.close()


def test_every_example_in_a_docstring_holds() -> None:
    for name in ("figures", "full_speed", "inputs", "tables", "targets"):
        failed, tried = doctest.testmod(importlib.import_module(f"bench.{name}"))
        assert tried > 0, name
        assert failed == 0, name


def test_a_result_that_is_no_result_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text("{}")
    with pytest.raises(msgspec.ValidationError):
        load(path)
