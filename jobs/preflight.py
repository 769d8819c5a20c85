"""What has to be there before a job starts: a broker that answers, the topics, a champion. Each lack is one clear line."""

import logging
from collections.abc import Sequence

from kafka import KafkaAdminClient
from kafka.errors import KafkaError

from detection.hadoop_uris import named_folder
from jobs.declared_extras import declared_in, model_store
from jobs.runtime.errors import Fatal
from messaging.config import KafkaConfig
from messaging.errors import KafkaConfigError
from messaging.unreachable import certificate_trouble, why_unreachable
from ml.features.available import needs_profiles
from ml.registry.model_store import ModelRefused, ModelStore, NotReady, RegistryError
from settings import Settings

_log = logging.getLogger(__name__)


def check_kafka(settings: Settings, *topics: str, wanted: Sequence[str] = ()) -> None:
    """Raise `Fatal` where Kafka does not answer or lacks one of the topics. wanted: what can be done without, for now."""
    try:
        kafka = KafkaConfig.from_settings(settings)
    except KafkaConfigError as error:
        raise Fatal(str(error)) from None
    if trouble := certificate_trouble(kafka):
        raise Fatal(f"Kafka at {kafka.servers} can't be used: {trouble}")
    try:
        admin = KafkaAdminClient(**kafka.for_kafka_python(), bootstrap_timeout_ms=10_000, request_timeout_ms=15_000)
        there = set(admin.list_topics())
        admin.close()
    except (KafkaError, OSError) as error:
        raise Fatal(
            f"Kafka does not answer at {kafka.servers} ({type(error).__name__}): {why_unreachable(kafka)}"
        ) from None
    if missing := [topic for topic in topics if topic not in there]:
        raise Fatal(_missing(settings, missing))
    if missing := [topic for topic in wanted if topic not in there]:
        _log.error("%s; detection goes on without it", _missing(settings, missing))


def _missing(settings: Settings, topics: Sequence[str]) -> str:
    return (
        f"Kafka at {settings.kafka_bootstrap_servers} has no topic {', '.join(topics)}: create it "
        "(`make stack` does so on this machine; elsewhere Kafka's own kafka-topics.sh), or name another"
    )


def champion_needs_profiles(settings: Settings) -> bool:
    """Whether the champion, or what is on trial, judges by profiles; where that can't be known now, whether profiles were made
    here before."""
    try:
        registry = model_store(settings, declared_in(settings))
        return needs_profiles(registry.load(registry.champion()).features) or _challenger_needs_profiles(registry)
    except (RegistryError, Fatal) as error:  # what is wrong with the declaration of extras stops the start later
        made = _made_before(settings)
        _log.info("whether the champion judges by profiles is not known (%s); they are made: %s", error, made)
        return made


def _challenger_needs_profiles(registry: ModelStore) -> bool:
    try:
        found = registry.on_trial()
        return found is not None and needs_profiles(registry.load(found.entry.version).features)
    except (ModelRefused, NotReady):  # it is not put on trial
        return False


def _made_before(settings: Settings) -> bool:
    checkpoint = named_folder(settings.checkpoint)
    return checkpoint is None or (checkpoint / "profiles").is_dir()


def check_champion(settings: Settings) -> None:
    """Raise `Fatal` where there is no model to score with: neither a champion nor, beside the checkpoint, one that was used.

    Where the checkpoint is not on this machine, the start itself says it.
    """
    checkpoint = named_folder(settings.checkpoint)
    if checkpoint is None or any((checkpoint / "models").glob("*.model")):
        return
    try:
        ModelStore(settings.mlflow_tracking_uri, settings.model_name, settings.model_alias).champion()
    except RegistryError as error:
        raise Fatal(str(error)) from None
