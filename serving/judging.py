"""What the service judges by: its own copies of models and tables, the pollers that bring newer ones, and its ledger."""

from pathlib import Path

from detection.durable_folder import DurableFolder
from detection.hadoop_uris import on_this_machine
from detection.model_versions import ModelVersions
from detection.profile_store import ProfileStore
from detection.threshold_store import ThresholdStore
from detection.version_store import VersionStore
from ml.features.declared import Declared, names
from ml.registry.model_store import ModelStore
from serving.judge import Judge, ServiceLedger
from settings import Settings
from versions.newest import Newest
from versions.past_profiles import PastProfiles, read_past_profiles


def judging(settings: Settings, folder: Path, declared: Declared, topic_id: str) -> tuple[Newest, Judge]:
    """(what polls for newer versions, the judge by them). Raises `versions.errors.NoModel` where there is no model at all."""
    registry = ModelStore(settings.mlflow_tracking_uri, settings.model_name, settings.model_alias, names(declared))
    kept = {name: DurableFolder.on_disk(folder / name) for name in ("models", "tables", "profiles", "ledger")}
    store = VersionStore(
        ModelVersions(registry, kept["models"]), ThresholdStore(kept["tables"]), ProfileStore(kept["profiles"])
    )
    newest = Newest(settings, "serve", registry, store, lambda: _past_profiles(settings), _read)
    return newest, Judge(ServiceLedger(kept["ledger"]), newest.versions, store.decision, topic_id)


def _past_profiles(settings: Settings) -> PastProfiles | None:
    given = settings.initial_state
    if given is None:
        return None
    folder = DurableFolder.on_disk(on_this_machine(given).parent, create=False)
    return read_past_profiles(folder, str(given), settings.profile_block_seconds)


def _read(folder: str, file: str) -> bytes | None:
    """A file that a table of profiles was announced in."""
    return DurableFolder.on_disk(on_this_machine(folder), create=False).read(file)
