"""A challenger in the job, on a real Kafka: beside the champion, in its place for a share, and again in a replay."""

from collections.abc import Callable

from messaging.topics import create_topics
from ml.model import Model
from ml.registry.model_store import ModelStore, Terms
from settings import Settings
from tests.integration.traffic import judged, judgement, messages, scores, send, traffic
from tests.support.kafka import read_topic

Detect = Callable[..., None]


def test_each_customer_is_judged_by_the_model_that_the_ledger_gives_it_and_a_replay_repeats_it(
    settings: Settings, registry: ModelStore, models: list[Model], detect_all: Detect
) -> None:
    whole = messages(traffic(1_500, customers=100, seed=71))
    send(settings, whole[:500])
    detect_all(settings)
    registry.challenge(2, terms=Terms(share=0.6, judges=0.3, salt="trial"))
    send(settings, whole[500:1_000])
    detect_all(settings)
    registry.withdraw()
    send(settings, whole[1_000:])
    detect_all(settings)
    found = scores(settings)
    assert len(found) == 1_500
    log = read_topic(settings.kafka_bootstrap_servers, settings.transactions_topic)
    by_champion, by_challenger = judged(log, models[0]), judged(log, models[1])
    roles: dict[str, set[str]] = {"judged": set(), "beside": set(), "neither": set()}
    on_trial = {score["micro_batch"] for score in found.values() if "challenger" in score or "champion" in score}
    for place, score in found.items():
        role = "judged" if "champion" in score else "beside" if "challenger" in score else "neither"
        own, other = (by_challenger, by_champion) if role == "judged" else (by_champion, by_challenger)
        assert judgement(score) == own[place]
        if role != "neither":
            beside = score["champion" if role == "judged" else "challenger"]
            said = {name: beside[name] for name in ("anomaly_score", "is_anomaly", "threshold", "model_version")}
            assert said == {name: other[place][name] for name in said}
        if score["micro_batch"] in on_trial:
            roles[role].add(score["customer_id"])
    assert all(roles.values())
    assert not roles["judged"] & (roles["beside"] | roles["neither"])
    assert not roles["beside"] & roles["neither"]
    anomalies = {place for place, score in found.items() if score["is_anomaly"]}
    assert set(scores(settings, settings.alerts_topic)) == anomalies

    replayed = settings.model_copy(
        update={
            "replay_of": settings.checkpoint,
            "checkpoint": f"{settings.checkpoint}-again",
            "scores_topic": f"{settings.scores_topic}-again",
            "alerts_topic": f"{settings.alerts_topic}-again",
        }
    )
    create_topics(replayed)
    detect_all(replayed)
    again = scores(replayed)
    assert again.keys() == found.keys()
    for place, score in found.items():
        for name in ("challenger", "champion", "model_version", "anomaly_score", "is_anomaly", "threshold", "reasons"):
            assert again[place].get(name) == score.get(name), (place, name)
