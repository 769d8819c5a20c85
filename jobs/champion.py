"""Which model a micro-batch is judged by: follows the registry's champion in the background, so that no record waits for it."""

import logging
import pickle

from jobs.follower import Follower
from jobs.storage import DurableFolder
from ml.model import Model
from ml.registry import ModelRefused, Registry

_log = logging.getLogger(__name__)


class KeptModels:
    """Models in use, kept beside the checkpoint, so that neither a restart nor a replay depends on the registry."""

    def __init__(self, registry: Registry, folder: DurableFolder) -> None:
        self._registry = registry
        self._folder = folder

    def version(self, version: int) -> Model:
        """A version that is kept, else from the registry. Raises `ModelRefused` where it can't be had."""
        content = self._folder.read(f"{version}.pickle")
        return self._registry.load(version) if content is None else pickle.loads(content)

    def keep(self, model: Model) -> None:
        """Keep a model that is about to be used, if it is not kept yet."""
        name = f"{model.version}.pickle"
        if self._folder.read(name) is None:
            self._folder.write(name, pickle.dumps(model))

    @property
    def last(self) -> int | None:
        """The version that was used last."""
        content = self._folder.read_newest("last")
        return None if content is None else int(content)

    @last.setter
    def last(self, version: int) -> None:
        self._folder.write_newest("last", str(version).encode())


class ChampionFollower(Follower):
    """The newest champion that could be loaded, and every older version that a micro-batch is bound to."""

    def __init__(self, registry: Registry, models: DurableFolder, poll_seconds: float = 1.0) -> None:
        super().__init__("the model registry", poll_seconds)
        self._registry = registry
        self._models = KeptModels(registry, models)
        self._loaded: dict[int, Model] = {}
        self._refused: set[int] = set()
        self._current = self._first()

    def current(self) -> Model:
        """The model for a new micro-batch. Never waits."""
        return self._current

    @property
    def in_use(self) -> str:
        """See `Follower`."""
        return f"version {self._current.version}"

    def version(self, version: int) -> Model:
        """A given version: the one that the ledger binds a micro-batch to. Raises `ModelRefused` where it can't be had."""
        if version not in self._loaded:
            model = self._models.version(version)
            self._models.keep(model)
            self._loaded[version] = model
        return self._loaded[version]

    def look(self) -> None:
        """See `Follower`."""
        version = self._registry.champion()
        if version == self._current.version or version in self._refused:
            return
        try:
            self._current = self.version(version)
            self._models.last = version
            _log.info("version %d is the champion now", version)
        except ModelRefused as refusal:
            self._refused.add(version)
            _log.error(
                "version %d is refused: %s; scoring goes on with version %d", version, refusal, self._current.version
            )

    def _first(self) -> Model:
        """The champion; else, where the registry is away or its champion is refused, the last model that was used."""
        try:
            model = self.version(self._registry.champion())
        except Exception as error:
            last = self._models.last
            if last is None:
                raise
            _log.warning("the champion can't be had (%s); going on with version %d, used last", error, last)
            return self.version(last)
        self._models.last = model.version
        return model
