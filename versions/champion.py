"""Which model a micro-batch is judged by: polls the registry's champion in the background, so that no record waits for it."""

import logging
import threading
import time
from collections.abc import Callable
from typing import Final, TypeVar

from detection.model_versions import Loaded, ModelVersions, Use
from messaging.poller import Poller
from ml.model import Model
from ml.registry.model_store import Entry, ModelRefused, ModelStore, NoChampion, NotReady, RegistryUnavailable
from versions.errors import NoModel
from versions.reports import Report, no_report

_T = TypeVar("_T")

_log = logging.getLogger(__name__)

_REFUSED_SECONDS: Final = 60.0
"""After which a refused version is checked again: its files may have been half written, or repaired."""

_START_SECONDS: Final = 10.0
"""How long a start waits for the registry, where there is a model to go on with."""


class ChampionPoller(Poller):
    """The newest champion that could be loaded. Raises `NoModel` at a start that has no model at all to judge by.

    refusal: reports that a champion is refused, and that this is over; outage: see `Poller`.
    """

    def __init__(
        self,
        registry: ModelStore,
        models: ModelVersions,
        poll_seconds: float = 1.0,
        refusal: Report = no_report,
        outage: Report = no_report,
    ) -> None:
        super().__init__("the model registry", poll_seconds, outage)
        self._registry = registry
        self._models = models
        self._seen: Entry | None = None
        self._refused_until: dict[Entry, float] = {}
        self._said = ""
        self._report = refusal
        self._refused = ""
        self._current = self._first()

    def current(self) -> Model:
        """The model for a new micro-batch. Never waits."""
        return self._current

    @property
    def refused(self) -> bool:
        """Whether the champion that the registry names is refused, so that an older model judges."""
        return bool(self._refused)

    @property
    def in_use(self) -> str:
        """See `Poller`."""
        return called(self._current)

    def look(self) -> None:
        """See `Poller`."""
        try:
            champion = self._registry.champion_entry()
        except NoChampion as error:
            self._say(error, str(error))
            return
        if champion == self._seen:
            self._accepted()
            return
        if time.monotonic() < self._refused_until.get(champion, 0.0):
            return
        try:
            self._take(champion, self._models.of_entry(champion))
        except (ModelRefused, NotReady) as refusal:
            self._say(refusal, f"version {champion.version} is refused: {refusal}")
            if isinstance(refusal, ModelRefused):
                self._refused_until = {champion: time.monotonic() + _REFUSED_SECONDS}
                self._refuse(refusal, self.in_use)

    def _refuse(self, refusal: ModelRefused, in_use: str) -> None:
        """Report a refusal once, however often the version is checked again."""
        if str(refusal) != self._refused:
            self._report(f"the champion is refused: {refusal}; scoring goes on with {in_use}", False)
        self._refused = str(refusal)

    def _accepted(self) -> None:
        """What the registry names is what judges."""
        if self._refused:
            self._report(f"{self.in_use} is the champion, and judges", True)
        self._refused = ""

    def _say(self, problem: Exception, words: str) -> None:
        """Log a problem once, however often it occurs."""
        if str(problem) != self._said:
            _log.error("%s; scoring goes on with %s", words, self.in_use)
        self._said = str(problem)

    def _take(self, champion: Entry, loaded: Loaded) -> None:
        before, model = self._models.last, loaded.model
        self._models.use(loaded)
        self._seen, self._said, self._current = champion, "", model
        self._accepted()
        if before is not None and before.version == model.version and before.digest != model.digest:
            _log.warning(
                "%s is another model than %s, which had the same number: new micro-batches are judged by it, those that the "
                "ledger knows by the old one",
                called(model),
                before.called,
            )
        elif before is None or before.digest != model.digest:
            _log.info("%s is the champion now", called(model))

    def _first(self) -> Model:
        """The champion; else, where the registry is unavailable or its champion is refused, the last model that was used."""
        last = self._models.last
        try:
            champion, loaded = _within(None if last is None else _START_SECONDS, self._champion)
        except Exception as error:
            if last is None:
                raise NoModel(f"there is no model to judge by: {error}") from error
            return self._last(last, error)
        self._take(champion, loaded)
        return loaded.model

    def _champion(self) -> tuple[Entry, Loaded]:
        champion = self._registry.champion_entry()
        return champion, self._models.of_entry(champion)

    def _last(self, last: Use, error: Exception) -> Model:
        try:
            model = self._models.model(last.digest)
        except ModelRefused as refusal:
            raise NoModel(
                f"there is no model to judge by: the champion is not available ({error}), and of {last.called}, which was used "
                f"last: {refusal}"
            ) from error
        _log.warning("the champion is not available (%s); going on with %s, used last", error, last.called)
        if isinstance(error, ModelRefused):
            self._refuse(error, last.called)
        if isinstance(error, RegistryUnavailable | TimeoutError):
            self._unavailable_since = time.monotonic()
        self._said = str(error)
        return model


def called(model: Model) -> str:
    """What the log calls a model."""
    return Use.from_model(model).called


def _within(seconds: float | None, work: Callable[[], _T]) -> _T:
    """The work's result or exception; TimeoutError where it takes longer. It then goes on without effect."""
    if seconds is None:
        return work()
    outcome: list[_T] = []
    errors: list[Exception] = []

    def run() -> None:
        try:
            outcome.append(work())
        except Exception as error:  # noqa: BLE001  # it is raised in the thread that waits
            errors.append(error)

    thread = threading.Thread(target=run, name="first champion", daemon=True)
    thread.start()
    thread.join(seconds)
    if errors:
        raise errors[0]
    if not outcome:
        raise TimeoutError(f"the model registry did not answer within {seconds:.0f} s")
    return outcome[0]
