"""Which model a micro-batch is judged by: follows the registry's champion in the background, so that no record waits for it."""

import logging
import pickle
import threading
import time
from collections.abc import Callable

from jobs.storage import DurableFolder
from ml.model import Model
from ml.registry import ModelRefused, Registry

_log = logging.getLogger(__name__)


class ChampionFollower:
    """The newest champion that could be loaded, and every older version that a micro-batch is bound to.

    Models in use are kept beside the checkpoint, so that neither a restart nor a replay depends on the registry.
    """

    def __init__(self, registry: Registry, models: DurableFolder, poll_seconds: float = 1.0) -> None:
        self._registry = registry
        self._models = models
        self._poll_seconds = poll_seconds
        self._loaded: dict[int, Model] = {}
        self._refused: set[int] = set()
        self._away = False
        self._current = self._first()

    def current(self) -> Model:
        """The model for a new micro-batch. Never waits."""
        return self._current

    def version(self, version: int) -> Model:
        """A given version: the one that the ledger binds a micro-batch to. Raises `ModelRefused` where it can't be had."""
        if version not in self._loaded:
            self._loaded[version] = self._kept(version) or self._keep(self._registry.load(version))
        return self._loaded[version]

    def follow(self, wanted: Callable[[], bool]) -> None:
        """Begin to follow the registry, in a thread of its own, for as long as `wanted()`."""
        threading.Thread(target=self._follow, args=(wanted,), name="champion", daemon=True).start()

    def _first(self) -> Model:
        """The champion; else, where the registry is away or its champion is refused, the last model that was used."""
        try:
            return self.version(self._registry.champion())
        except Exception as error:
            last = self._models.read_newest("last")
            if last is None:
                raise
            _log.warning("the champion can't be had (%s); going on with version %s, used last", error, last.decode())
            return self.version(int(last))

    def _follow(self, wanted: Callable[[], bool]) -> None:
        while wanted():
            self._guarded(self._look)
            time.sleep(self._poll_seconds)

    def _guarded(self, look: Callable[[], None]) -> None:
        try:
            look()
            if self._away:
                _log.info("the model registry is back")
            self._away = False
        except Exception as error:  # noqa: BLE001  # whatever ails the registry, it must not end the scoring
            if not self._away:
                _log.warning(
                    "the model registry is away (%s); scoring goes on with version %d", error, self._current.version
                )
            self._away = True

    def _look(self) -> None:
        version = self._registry.champion()
        if version == self._current.version or version in self._refused:
            return
        try:
            self._current = self.version(version)
            self._models.write_newest("last", str(version).encode())
            _log.info("version %d is the champion now", version)
        except ModelRefused as refusal:
            self._refused.add(version)
            _log.error(
                "version %d is refused: %s; scoring goes on with version %d", version, refusal, self._current.version
            )

    def _kept(self, version: int) -> Model | None:
        content = self._models.read(f"{version}.pickle")
        return None if content is None else pickle.loads(content)

    def _keep(self, model: Model) -> Model:
        self._models.write(f"{model.version}.pickle", pickle.dumps(model))
        self._models.write_newest("last", str(model.version).encode())
        return model
