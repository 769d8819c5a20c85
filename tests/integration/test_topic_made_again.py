"""A topic that is deleted and made again under its name, while the job is stopped and while it runs."""

import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from pyspark.sql import SparkSession

from detection import durable_folder, message_parsing
from detection.ledger import Ledger
from jobs.runtime.errors import Fatal
from jobs.runtime.storage import DurableFolder
from jobs.source.topic_offsets import QueryCheckpoint
from ml import features
from ml.features.customers import Customers, identify
from ml.features.events import events
from settings import Settings
from stack.local import Stack
from tests.integration.application import Application
from tests.integration.test_panels import points
from tests.integration.traffic import messages, send, traffic
from tests.support.kafka import count_records, read_topic
from tests.support.topics import make_again

Detect = Callable[..., None]


def scores_by_transaction(settings: Settings) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for record in read_topic(settings.kafka_bootstrap_servers, settings.scores_topic):
        score = msgspec.json.decode(record.value)
        found.setdefault(score["transaction_id"], []).append(score)
    return found


def folded(*logs: list[Any]) -> dict[str, list[float]]:
    """The features of each transaction in one fold along logs, one after the other, by transaction_id."""
    transactions = [message_parsing.parse(record.value) for log in logs for record in log]
    places = [(record.partition, record.offset) for log in logs for record in log]
    positions = np.array([features.position(np.int64(p), np.int64(o)) for p, o in places])
    customers = Customers()
    rows = customers.locate(identify([t.customer_id for t in transactions]))
    out = features.fold(customers.states, rows, events(transactions, positions)).features
    return {t.transaction_id: row.tolist() for t, row in zip(transactions, out, strict=True)}


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("partitions", [7, 2])
def test_made_again_while_stopped_it_is_named_and_once_accepted_read_from_its_beginning(
    spark: SparkSession, settings: Settings, detect_all: Detect, partitions: int
) -> None:
    """With more partitions than the four of before, and with fewer; the offsets of those that are gone are of no use."""
    old = traffic(80, customers=10, seed=61)
    send(settings, messages(old))
    detect_all(settings)
    log = read_topic(settings.kafka_bootstrap_servers, settings.transactions_topic)
    make_again(settings, settings.transactions_topic, partitions)
    new = traffic(40, customers=10, seed=62)
    send(settings, [*messages(new), messages(old)[0]])  # the last one is a duplicate of one that the old topic held
    new_log = read_topic(settings.kafka_bootstrap_servers, settings.transactions_topic)

    with pytest.raises(Fatal, match=r"transactions was deleted and made again since detect .*--accept-data-loss true"):
        detect_all(settings)
    assert len(scores_by_transaction(settings)) == 80

    accepted = settings.model_copy(update={"accept_data_loss": True, "max_offsets_per_trigger": 15})
    detect_all(accepted)
    found = scores_by_transaction(settings)
    assert found.keys() == {t.transaction_id for t in [*old, *new]}
    assert all(len(scores) == 1 for scores in found.values())
    expected = folded(log, [record for record in new_log if record.value != messages(old)[0][1]])
    assert {name: scores[0]["features"] for name, scores in found.items()} == {name: expected[name] for name in found}
    [dead] = read_topic(settings.kafka_bootstrap_servers, settings.invalid_topic)
    assert dead.value == messages(old)[0][1]

    entries = entries_of(spark, settings)
    ids = {entry.topic_id for entry in entries}
    assert len(ids) == 2
    assert "" not in ids
    for topic_id in ids:
        mine = [entry for entry in entries if entry.topic_id == topic_id]
        held = sum(end - entry.start.get(p, 0) for entry in mine for p, end in entry.end.items())
        assert held == (80 if topic_id == entries[0].topic_id else 41)
        known = {int(partition) for entry in mine for partition in entry.end}
        assert known == set(range(4 if topic_id == entries[0].topic_id else partitions))
    assert all(entry.start.get(p, 0) <= end for entry in entries for p, end in entry.end.items())
    # A further start goes on where the last one ended.
    send(settings, messages(traffic(20, customers=10, seed=63)))
    detect_all(settings)
    assert len(scores_by_transaction(settings)) == 140


def entries_of(spark: SparkSession, settings: Settings) -> list[Any]:
    """The micro-batches' entries, which are few enough that none is merged yet."""
    ledger = Ledger(DurableFolder(spark, f"{settings.checkpoint}/ledger"))
    return [entry for micro_batch in range(50) if (entry := ledger.entry(micro_batch)) is not None]


class Killed(Exception):
    pass


@pytest.mark.parametrize("committed", [True, False], ids=["with a commit", "before the first commit"])
def test_killed_at_any_step_beginning_again_comes_to_the_same(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, committed: bool
) -> None:
    """A checkpoint with micro-batches 0 and, of the topic that is gone, a planned one."""
    names = {"offsets/0": {"t": {"0": 5, "1": 7}, "u": {"0": 3}}, "sources/0/0": {"t": {"0": 1, "1": 2}, "u": {"0": 0}}}
    names |= {"offsets/1": {"t": {"0": 9, "1": 9}, "u": {"0": 3}}} if committed else {}

    def checkpoint(name: str) -> QueryCheckpoint:
        for file, offsets in names.items():
            path = tmp_path / name / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text('v1\n{"conf":{}}\n' + json.dumps(offsets))
        (tmp_path / name / "commits").mkdir()
        if committed:
            (tmp_path / name / "commits" / "0").write_text("v1\n{}")
        return QueryCheckpoint(spark, str(tmp_path / name))

    def state(name: str) -> dict[str, str]:
        files = (path for path in (tmp_path / name).rglob("*") if path.is_file() and not path.name.startswith("."))
        return {str(path.relative_to(tmp_path / name)): path.read_text() for path in files}

    topics = {"t": [0, 1, 2]}
    forgotten: list[int] = []
    assert checkpoint("whole").begin_again(topics, forgotten.append) == (1 if committed else 0)
    whole = state("whole")
    assert forgotten == [1 if committed else 0]
    rewritten = "offsets/0" if committed else "sources/0/0"
    assert "offsets/1" not in whole
    assert whole[rewritten].splitlines()[:-1] == ["v1", '{"conf":{}}']
    expected = names[rewritten] | {"t": {"0": 0, "1": 0, "2": 0}}
    assert json.loads(whole[rewritten].splitlines()[-1]) == expected

    for step in range(20):
        killed, finished = checkpoint(f"killed {step}"), False
        with monkeypatch.context() as patched:
            die_before(patched, step)
            with suppress(Killed):
                killed.begin_again(topics)
                finished = True
        QueryCheckpoint(spark, str(tmp_path / f"killed {step}")).begin_again(topics)
        assert state(f"killed {step}") == whole
        QueryCheckpoint(spark, str(tmp_path / f"killed {step}")).begin_again(topics)
        assert state(f"killed {step}") == whole
        if finished:
            break
    assert step > 3


def die_before(patched: pytest.MonkeyPatch, step: int) -> None:
    """Let the change of a folder that comes after so many others raise `Killed`."""
    done = [0]

    def counted(change: Callable[..., None]) -> Callable[..., None]:
        def changing(*arguments: Any) -> None:
            if done[0] == step:
                raise Killed
            done[0] += 1
            change(*arguments)

        return changing

    for name in ("write", "delete"):
        of_all = durable_folder.DurableFolder
        patched.setattr(of_all, name, counted(getattr(of_all, name)))


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.timeout(1200)
def test_made_again_while_running_each_record_of_the_new_topic_is_scored_once_and_each_score_is_a_point(
    settings: Settings, stack: Stack
) -> None:
    settings = settings.model_copy(update={"accept_data_loss": True, "publish_interval_seconds": 0.5})
    send(settings, messages(traffic(80, customers=10, seed=64)))
    with Application(settings) as application:
        application.wait_until(lambda: points(settings, stack) == 80, "the first points")
        for number, (topic, partitions) in enumerate(
            ((settings.transactions_topic, 7), (settings.transactions_topic, 2), (settings.scores_topic, 3))
        ):
            make_again(settings, topic, partitions)
            # As many as before, fewer than before, more than before.
            send(settings, messages(traffic((80, 16, 200)[number], customers=10, seed=65 + number)))
            reached = (160, 176, 376)[number]
            application.wait_until(lambda reached=reached: points(settings, stack) == reached, f"{reached} points")
        assert count_records(settings.kafka_bootstrap_servers, settings.invalid_topic) == 0
        assert application.stop() == 0
    assert f"{settings.transactions_topic} was deleted and made again" in application.log
    assert f"{settings.scores_topic} was deleted and made again" in application.log
    found = scores_by_transaction(settings)
    assert len(found) == 200


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.timeout(1200)
def test_made_again_while_running_it_ends_detection_with_what_happened(settings: Settings) -> None:
    settings = settings.model_copy(update={"publish": False})
    send(settings, messages(traffic(80, customers=10, seed=71)))
    with Application(settings) as application:
        application.wait_until(
            lambda: count_records(settings.kafka_bootstrap_servers, settings.scores_topic) == 80, "the first scores"
        )
        make_again(settings, settings.transactions_topic)
        send(settings, messages(traffic(16, customers=10, seed=72)))
        assert application.wait() == 1
    assert f"error: the topic {settings.transactions_topic} was deleted and made again" in application.output
    assert "Traceback" not in application.output
