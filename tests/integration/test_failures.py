"""What holds when something fails: the real application, killed, stopped, and left alone by the servers around it."""

from collections.abc import Callable, Iterator

import pytest
from kafka import KafkaAdminClient, TopicPartition

from ml.model import Model
from ml.registry import Registry
from settings import Settings
from tests.integration.application import Application
from tests.integration.traffic import judged, judgement, messages, scores, send, traffic
from tests.support.kafka import read_topic

Start = Callable[..., Application]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts applications; those that still run at the end of the test are killed."""
    running: list[Application] = []

    def begin(settings: Settings, *flags: str) -> Application:
        running.append(Application(settings, *flags))
        return running[-1]

    yield begin
    for application in running:
        application.__exit__(None, None, None)


def records(settings: Settings, topic: str) -> int:
    return len(read_topic(settings.kafka_bootstrap_servers, topic))


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_job_that_is_killed_judges_every_record_as_an_undisturbed_one(
    settings: Settings, models: list[Model], registry: Registry, start: Start
) -> None:
    """Killed in the middle of work, and again right after its first output with a promotion in between."""
    send(settings, messages(traffic(6_000, customers=300, seed=21, hot=3)))
    settings = settings.model_copy(update={"max_offsets_per_trigger": 1_000, "publish": False})
    first = start(settings)
    first.wait_for_commit(1)
    first.kill()
    already = records(settings, settings.scores_topic)
    assert 0 < already < 6_000
    second = start(settings)
    second.wait_until(lambda: records(settings, settings.scores_topic) > already, "the first output after the restart")
    registry.promote(2)
    second.kill()
    third = start(settings)
    third.wait_until(lambda: len(scores(settings)) == 6_000, "a score for each record")
    assert third.stop() == 0

    found = scores(settings)  # fails on contradictions between what was written before and after
    by_batch: dict[int, set[int]] = {}
    for score in found.values():
        by_batch.setdefault(score["micro_batch"], set()).add(score["model_version"])
    assert all(len(versions) == 1 for versions in by_batch.values())
    assert {version for versions in by_batch.values() for version in versions} == {1, 2}
    log = read_topic(settings.kafka_bootstrap_servers, settings.transactions_topic)
    expected = {model.version: judged(log, model) for model in models}
    assert {p: judgement(s) for p, s in found.items()} == {p: expected[s["model_version"]][p] for p, s in found.items()}
    alerts = scores(settings, settings.alerts_topic)
    assert set(alerts) == {place for place, score in found.items() if score["is_anomaly"]}


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_records_lost_to_retention_stop_the_job_unless_the_loss_is_accepted(settings: Settings, start: Start) -> None:
    settings = settings.model_copy(update={"publish": False})
    send(settings, messages(traffic(500, customers=50, seed=31)))
    first = start(settings)
    first.wait_until(lambda: records(settings, settings.scores_topic) == 500, "the first scores")
    assert first.stop() == 0
    send(settings, messages(traffic(500, customers=50, seed=32)))
    with KafkaAdminClient(bootstrap_servers=settings.kafka_bootstrap_servers) as admin:
        lost = {TopicPartition(settings.transactions_topic, p): -1 for p in range(4)}
        admin.delete_records(lost)
    send(settings, messages(traffic(500, customers=50, seed=33)))
    second = start(settings)
    assert second.wait() != 0
    assert "--accept-data-loss" in second.output
    assert "Traceback" not in second.output
    third = start(settings.model_copy(update={"accept_data_loss": True}))
    third.wait_until(lambda: records(settings, settings.scores_topic) == 1_000, "the scores of what is left")
    assert third.stop() == 0
