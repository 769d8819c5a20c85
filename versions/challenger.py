"""Which model is on trial beside the champion: polls the registry in the background; without it, none is."""

import logging
from typing import NamedTuple

from detection.ledger import Challenger
from detection.model_versions import ModelVersions
from messaging.poller import Poller
from ml.model import Model
from ml.registry.model_store import ModelRefused, ModelStore, NotReady, OnTrial
from versions.champion import called

_log = logging.getLogger(__name__)


class OnTrialNow(NamedTuple):
    """A model that was loaded, and what a new ledger entry calls it."""

    model: Model
    by: Challenger


class ChallengerPoller(Poller):
    """The model on trial, once it could be loaded. What is wrong with it costs the champion nothing: then there is none."""

    def __init__(self, registry: ModelStore, models: ModelVersions, poll_seconds: float = 1.0) -> None:
        super().__init__("the model registry's challenger", poll_seconds)
        self._registry = registry
        self._models = models
        self._seen: OnTrial | None = None
        self._current: OnTrialNow | None = None

    def current(self) -> OnTrialNow | None:
        """The model on trial, for a new micro-batch; None for none. Never waits."""
        return self._current

    @property
    def in_use(self) -> str:
        """See `Poller`."""
        return "no challenger" if self._current is None else called(self._current.model)

    def look(self) -> None:
        """See `Poller`."""
        found = self._registry.on_trial()
        if found == self._seen:
            return
        if found is None:
            _log.info("no model is on trial any more")
            self._seen, self._current = None, None
            return
        try:
            loaded = self._models.of_entry(found.entry)
        except (ModelRefused, NotReady) as refusal:
            if not isinstance(refusal, NotReady):
                self._seen = found  # it is looked at again once the registry says something else
                _log.error("version %d is not put on trial: %s", found.entry.version, refusal)
            self._current = None
            return
        self._models.keep_on_trial(loaded)
        model, terms = loaded.model, found.terms
        salt = terms.salt or model.digest[:16]
        by = Challenger(model.version, model.name, model.digest, share=terms.share, judges=terms.judges, salt=salt)
        self._seen, self._current = found, OnTrialNow(model, by)
        _log.info(
            "%s is on trial: it scores %.0f %% of the customers, and judges %.0f %%",
            called(model),
            100 * by.share,
            100 * by.judges,
        )
