"""On a cluster of which some is killed, thresholds follow the traffic, and each record is judged by the table of its ledger."""

import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest

from messaging.config import KafkaConfig
from ml.features import HOUR
from ml.model import Model
from ml.schema import DIGEST_DIGITS
from ml.segments import segment_name
from ml.thresholds.counts import BLOCK
from ml.thresholds.table import Table
from settings import Settings
from tests.integration.application import Application
from tests.integration.cluster import Cluster, newest_commit, on_cluster, wait_for_executor
from tests.integration.traffic import Message, judged, messages, scores, send, traffic
from tests.support.kafka import read_topic
from torture.audit import ends_of
from torture.batches import Entry, LedgerWatch, assigned
from torture.checkpoint import reached
from versions.thresholds import publish_table

RECORDS, PIECE = 9_000, 500


class Day:
    """Traffic whose Kafka timestamps are those of the last 18 hours, sent a piece at a time."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._whole: list[Message] = messages(traffic(RECORDS, customers=300, seed=7, hot=10))
        self._times = np.linspace(time.time() * 1000 - 18 * HOUR, time.time() * 1000, RECORDS).astype(int).tolist()
        self.sent = 0

    def send(self, count: int) -> None:
        part = slice(self.sent, self.sent + count)
        send(self._settings, self._whole[part], self._times[part])
        self.sent += len(self._whole[part])

    def send_until(self, application: Application, settings: Settings, newer_than: int) -> int:
        """Send pieces until a newer table of thresholds has judged some; returns its version."""
        newest = newer_than
        while newest == newer_than and self.sent < RECORDS:
            self.send(PIECE)
            ends = ends_of(settings, settings.transactions_topic)
            application.wait_until(
                lambda ends=ends: reached(Path(settings.checkpoint) / "detect", ends), "a piece", 400
            )  # type: ignore[misc]
            newest = max(score["threshold_version"] for score in scores(settings).values())
        assert newest > newer_than, f"no table after {newer_than} was taken up"
        return newest


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_executors_and_workers_that_are_killed_cost_no_judgement_by_tables_either(
    settings: Settings, models: list[Model], start: Callable[..., Application], tmp_path: Path
) -> None:
    adaptive = {"adaptive_thresholds": True, "thresholds_interval_seconds": 0.5, "publish": False}
    settings = on_cluster(settings).model_copy(update=adaptive)
    day = Day(settings)
    ledger = Path(settings.checkpoint) / "ledger"
    with Cluster(tmp_path / "cluster") as cluster, LedgerWatch(ledger) as watch:
        workers = [cluster.add_worker(), cluster.add_worker()]
        day.send(PIECE)
        application = start(settings, *cluster.flags())
        application.wait_until(lambda: newest_commit(settings) >= 0, "the first commit", 600)
        first = day.send_until(application, settings, 0)
        model = models[0]

        [executor] = workers[0].executors()
        day.send(PIECE)
        executor.kill()
        wait_for_executor(workers[0], executor.pid, application)
        publish_from_elsewhere(settings, model, first + 1)
        second = day.send_until(application, settings, first + 1)

        workers[1].kill()
        day.send(PIECE)
        cluster.add_worker()
        publish_from_elsewhere(settings, model, second + 1)
        day.send_until(application, settings, second + 1)
        assert application.stop() == 0
    assert not watch.changed
    assert_judged_by_the_ledger(settings, model, watch.entries, day.sent)


def publish_from_elsewhere(settings: Settings, model: Model, version: int) -> None:
    """A table that thresholds did not make: it answers with its own, under a higher number, once it is at work."""
    now = int(time.time() * 1000)
    table = Table(version, model.version, now - BLOCK, now, 0, model.threshold, {}, model.digest[:DIGEST_DIGITS])
    publish_table(settings.thresholds_topic, KafkaConfig.from_settings(settings), settings.model_name, table)


def assert_judged_by_the_ledger(settings: Settings, model: Model, entries: list[Entry], count: int) -> None:
    """Each record's features and score are the reference's, its threshold that of the table that its micro-batch has."""
    servers = settings.kafka_bootstrap_servers
    tables = {
        table.version: table
        for record in read_topic(servers, settings.thresholds_topic)
        for table in [msgspec.json.decode(record.value, type=Table)]
    }
    found = scores(settings)
    expected = judged(read_topic(servers, settings.transactions_topic), model)
    assert len(found) == len(expected) == count
    places = np.array(list(found), np.int64).reshape(-1, 2)
    version_of = {entry.micro_batch: entry.threshold_version for entry in entries}
    for (place, score), micro_batch in zip(
        found.items(), assigned(places[:, 0], places[:, 1], entries).tolist(), strict=True
    ):
        wanted, version = expected[place], version_of[micro_batch]
        assert (score["micro_batch"], score["threshold_version"]) == (micro_batch, version)
        assert [score[name] for name in ("features", "late", "anomaly_score")] == [
            wanted[name] for name in ("features", "late", "anomaly_score")
        ]
        table = tables.get(version)
        own = segment_name(score["channel"], score["merchant_category"])
        threshold = model.threshold if table is None else table.thresholds.get(own, table.default)
        assert (score["threshold"], score["is_anomaly"]) == (threshold, score["anomaly_score"] > threshold)
        assert (version == 0) == (table is None)
    alerts = scores(settings, settings.alerts_topic)
    assert set(alerts) == {place for place, score in found.items() if score["is_anomaly"]}
