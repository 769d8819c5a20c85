"""The policy that is in force: its file is looked at again when it changes, and its thresholds follow the champion."""

import logging
from collections.abc import Callable
from pathlib import Path

from ml.model import Model
from ml.schema import Score
from serving.policy import Policy, PolicyError, PolicyFile, Thresholds
from serving.thresholds import thresholds_for
from serving.watched_file import WatchedFile

_log = logging.getLogger(__name__)


class Policies:
    """The newest policy that could be read. A file that can't be used is reported, and the one before stays in force."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._watch = None if path is None else WatchedFile(path, self._read_again)
        self._policy = Policy(PolicyFile()) if path is None else Policy.read(path)
        self._champion: Callable[[], Model] | None = None
        self._for: tuple[Policy, str] | None = None
        self._thresholds = Thresholds()

    def current(self) -> Policy:
        """The policy that decides now. Never waits."""
        return self._policy

    def bind(self, champion: Callable[[], Model]) -> None:
        """Take the thresholds from this model from now on. Raises `PolicyError` where its shares can't be met."""
        self._champion = champion
        self._refresh()
        if self._watch is not None:
            self._watch.start()

    def thresholds(self, score: Score) -> Thresholds:
        """The thresholds for a score: those of the model that made it."""
        if self._champion is not None and (self._for is None or self._for != (self._policy, score.model_digest)):
            self._refresh()
        return self._thresholds

    def _refresh(self) -> None:
        assert self._champion is not None
        model = self._champion()
        policy = self._policy
        try:
            self._thresholds = thresholds_for(policy.file, model)
        except PolicyError as error:
            if self._for is None:
                raise
            _log.error("%s; until then its own threshold is the review's, and nothing is declined by score", error)
            self._thresholds = Thresholds()
        self._for = (policy, model.digest[:16])

    def _read_again(self) -> None:
        assert self._path is not None
        try:
            self._policy = Policy.read(self._path)
            self._refresh()
            _log.info("the policy was read again")
        except PolicyError as error:
            _log.error("%s; the one before stays in force", error)
