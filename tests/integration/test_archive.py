"""The lake on real Kafka and Spark: each score and label is in it once, whatever is killed."""

import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from confluent_kafka import Producer
from deltalake import DeltaTable

from lake.place import Place
from lake.refolding import refold
from lake.rows import SCORES
from lake.views import connect
from ml.features import FEATURES
from ml.features.currencies import default_rates
from ml.features.customers import Customers
from ml.schema import Label, Transaction
from settings import Settings
from tests.integration.application import ROOT, Application
from tests.integration.traffic import messages, scores, send, traffic
from tests.support.kafka import read_topic
from tests.support.topics import make_again
from tests.upgrade.test_lake import old_lake

Start = Callable[..., Application]


@pytest.fixture
def settings(settings: Settings, tmp_path: Path) -> Settings:
    """A lake that is written to every second, and no points."""
    return settings.model_copy(
        update={"lake": str(tmp_path / "lake"), "lake_interval_seconds": 1.0, "publish": False, "profiles": False}
    )


def send_labels(settings: Settings, transactions: list[Transaction]) -> list[Label]:
    labels = [
        Label(t.transaction_id, t.customer_id, i % 2 == 0, t.event_time + timedelta(days=3), "analyst")
        for i, t in enumerate(transactions)
    ]
    producer = Producer({"bootstrap.servers": settings.kafka_bootstrap_servers})
    for label in labels:
        producer.produce(settings.labels_topic, msgspec.json.encode(label), label.customer_id.encode())
    producer.flush(30)
    return labels


def asked(settings: Settings, query: str) -> list[tuple[Any, ...]]:
    assert settings.lake is not None
    with connect(Place(settings.lake)) as connection:
        return connection.execute(query).fetchall()


def count(settings: Settings, view: str) -> int:
    return int(asked(settings, f"select count(*) from {view}")[0][0])


def check(settings: Settings) -> None:
    """What the lake has of each score is what the topic says, once."""
    wanted = scores(settings)
    rows = asked(settings, 'select "partition", "offset", features, anomaly_score, topic_id from scores')
    assert len(rows) == len(wanted)
    assert {(p, o): (f, s) for p, o, f, s, _ in rows} == {
        place: (score["features"], score["anomaly_score"]) for place, score in wanted.items()
    }
    assert len({topic_id for *_, topic_id in rows}) == 1


def explained(settings: Settings, transaction_id: str) -> None:
    """`scoreline explain --recompute` judges again what the lake has, and comes to the same."""
    command = [sys.executable, "-m", "jobs", "explain", transaction_id, "--recompute"]
    environment = os.environ | settings.environment()
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "the ledger names the same" in done.stdout
    assert "analyst: fraud" in done.stdout
    assert done.stdout.rstrip().endswith(": the same")


def wait_for_more(settings: Settings, application: Application, before: int) -> None:
    application.wait_until(lambda: count(settings, "scores") > before, "a further score in the lake")


def run_with_kills(settings: Settings, start: Start, kills: int, seed: int) -> None:
    rng = random.Random(seed)
    for round_number in range(kills):
        application = start(settings)
        application.wait_for_commit()
        send(settings, messages(traffic(300, customers=50, seed=seed * 100 + round_number)))
        if round_number % 2:
            wait_for_more(settings, application, count(settings, "scores"))
        time.sleep(rng.uniform(0, 3))
        application.kill()


@pytest.mark.long
def test_the_lake_has_each_score_and_label_once_after_a_kill(settings: Settings, start: Start) -> None:
    sent = traffic(600, customers=50, seed=7)
    send(settings, messages(sent))
    labels = send_labels(settings, sent[:40])
    run_with_kills(settings, start, 1, seed=8)
    total = 600 + 300
    application = start(settings)
    application.wait_until(lambda: count(settings, "scores") >= total, "every score in the lake")
    application.wait_until(lambda: count(settings, "label_log") >= 40, "every label in the lake")
    application.stop()
    check(settings)
    known = asked(settings, "select transaction_id, is_fraud from training_data where is_fraud is not null")
    assert dict(known) == {label.transaction_id: label.is_fraud for label in labels}
    named = asked(settings, f"select {FEATURES[0]}, features[1] from training_data join scores using (transaction_id)")
    assert all(one == other for one, other in named)
    explained(settings, sent[0].transaction_id)
    assert settings.lake is not None
    assert refold(Place(settings.lake), default_rates(), Customers()).different == 0


@pytest.mark.long
def test_a_lake_of_an_older_release_takes_new_rows_and_gains_their_columns(settings: Settings, start: Start) -> None:
    assert settings.lake is not None
    place = old_lake(Path(settings.lake))
    send(settings, messages(traffic(200, customers=20, seed=21)))
    application = start(settings)
    application.wait_until(lambda: count(settings, "scores") >= 230, "every score in the lake")
    application.stop()
    assert asked(
        settings, "select topic_id = 'old', count(*), count(distinct transaction_id) from scores group by 1 order by 1"
    ) == [
        (False, 200, 200),
        (True, 30, 30),
    ]
    assert "champion" in {field.name for field in DeltaTable(place.table(SCORES)).schema().fields}
    assert count(settings, "training_data") >= 200


def repeat(settings: Settings) -> None:
    """Put every score that there is on its topic once more, as a restart of detect may do with some."""
    producer = Producer({"bootstrap.servers": settings.kafka_bootstrap_servers})
    for record in read_topic(settings.kafka_bootstrap_servers, settings.scores_topic):
        producer.produce(settings.scores_topic, record.value, record.key, partition=record.partition)
    producer.flush(30)


@pytest.mark.long
@pytest.mark.timeout(600)
def test_repeated_scores_and_topics_that_are_made_again_leave_each_record_in_the_lake_once(
    settings: Settings, start: Start
) -> None:
    settings = settings.model_copy(update={"accept_data_loss": True})
    sent = messages(traffic(90, customers=20, seed=11))

    def archived(application: Application, total: int) -> None:
        application.wait_until(lambda: count(settings, "scores") >= total, f"{total} scores in the lake")

    send(settings, sent[:80])
    application = start(settings)
    archived(application, 80)
    repeat(settings)
    send(settings, sent[80:])  # read with the repeated ones or after them
    archived(application, 90)
    assert count(settings, "scores") == 90
    # What a new topic of that name has at the same places are other records.
    make_again(settings, settings.transactions_topic)
    application.wait_until(
        lambda: f"{settings.transactions_topic} was deleted and made again" in application.log, "its own notice"
    )
    send(settings, messages(traffic(60, customers=20, seed=12)))
    archived(application, 150)
    repeat(settings)
    make_again(settings, settings.scores_topic)
    application.wait_until(
        lambda: f"{settings.scores_topic} was deleted and made again" in application.log, "the notice of scores"
    )
    send(settings, messages(traffic(30, customers=20, seed=13)))
    archived(application, 180)
    application.stop()
    rows = asked(settings, 'select topic_id, count(*), count(distinct ("partition", "offset")) from scores group by 1')
    assert sorted(rows_of for _, rows_of, _ in rows) == [90, 90]
    assert all(rows_of == places for _, rows_of, places in rows)
    assert settings.lake is not None
    compared = refold(Place(settings.lake), default_rates(), Customers())
    assert (compared.transactions, compared.different) == (180, 0), compared.examples


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_the_lake_has_each_score_and_label_once_after_thirty_kills_and_with_a_new_checkpoint(
    settings: Settings, start: Start
) -> None:
    labels = send_labels(settings, traffic(300, customers=50, seed=900)[:40])
    run_with_kills(settings, start, 30, seed=9)
    application = start(settings)
    application.wait_until(lambda: count(settings, "scores") >= 30 * 300, "every score in the lake")
    application.stop()
    check(settings)
    # The archive begins again from the oldest record, under another application id.
    for folder in Path(settings.checkpoint).glob("archive*"):
        shutil.rmtree(folder)
    application = start(settings)
    commits = Path(settings.checkpoint) / "archive" / "commits" / "0"
    application.wait_until(commits.exists, "the first micro-batch of the new checkpoint")
    application.stop()
    check(settings)
    assert count(settings, "label_log") == len(labels)
