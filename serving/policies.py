"""The policy that is in force: its file is looked at again when it changes, and its thresholds follow the models that judge."""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from ml.model import Model
from ml.schema import DIGEST_DIGITS, Score
from serving.policy import Policy, PolicyError, PolicyFile, Thresholds
from serving.thresholds import thresholds_for

_log = logging.getLogger(__name__)

_LOOK_SECONDS: Final = 1.0


class Policies:
    """The newest policy that could be read. A file that can't be used is reported, and the one before stays in force."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._stamp = self._stamp_now()
        self._policy = Policy(PolicyFile()) if path is None else Policy.read(path)
        self._models: Callable[[], Sequence[Model]] | None = None
        self._for: Policy | None = None
        self._champion = ""
        self._thresholds: dict[str, Thresholds] = {}

    def current(self) -> Policy:
        """The policy that decides now. Never waits."""
        return self._policy

    def bind(self, models: Callable[[], Sequence[Model]]) -> None:
        """Take the thresholds from these models from now on: the champion, and what else judges. Raises `PolicyError` where
        the champion can't meet the policy's shares."""
        self._models = models
        self._refresh()
        if self._path is not None:
            threading.Thread(target=self._poll, name="policy", daemon=True).start()

    def thresholds(self, score: Score) -> Thresholds:
        """The thresholds for a score: those of the model that made it; of one that judges no more, the champion's."""
        digest = score.model_digest
        if self._models is not None and (self._for is not self._policy or digest not in self._thresholds):
            self._refresh()
        return self._thresholds.get(digest, self._thresholds.get(self._champion, Thresholds()))

    def _refresh(self) -> None:
        assert self._models is not None
        policy, models = self._policy, self._models()
        found: dict[str, Thresholds] = {}
        for model in models:
            try:
                found[model.digest[:DIGEST_DIGITS]] = thresholds_for(policy.file, model)
            except PolicyError as error:
                if self._for is None and model is models[0]:
                    raise
                _log.error("%s; until then its own threshold is the review's, and nothing is declined by score", error)
                found[model.digest[:DIGEST_DIGITS]] = Thresholds()
        self._thresholds, self._champion, self._for = found, models[0].digest[:DIGEST_DIGITS], policy

    def _poll(self) -> None:
        while True:
            time.sleep(_LOOK_SECONDS)
            try:
                self.look()
            except Exception:  # noqa: BLE001  # one look that fails is not the last one
                _log.exception("the policy could not be looked at; the one before stays in force")

    def look(self) -> None:
        """Read the file again where it has changed."""
        stamp = self._stamp_now()
        if self._path is None or stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            self._policy = Policy.read(self._path)
            self._refresh()
            _log.info("the policy was read again")
        except PolicyError as error:
            _log.error("%s; the one before stays in force", error)

    def _stamp_now(self) -> tuple[int, int] | None:
        if self._path is None:
            return None
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size
