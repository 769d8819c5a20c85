"""The policy that is in force, and those before it, by which records are decided that were written under them."""

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from ml.model import Model
from ml.schema import DIGEST_DIGITS, Score
from serving.answers import Decided
from serving.policy import Policy, PolicyError, PolicyFile, Thresholds
from serving.thresholds import thresholds_for
from serving.watched_file import WatchedFile

_log = logging.getLogger(__name__)

_KEPT: Final = 16
_MOST_MS: Final = 253_402_300_799_000
"""The end of the year 9999: a foreign record's time may be anything."""


class Policies:
    """The newest policy that could be read. A file that can't be used is reported, and the one before stays in force."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._watch = None if path is None else WatchedFile(path, self._read_again)
        self._policy = Policy(PolicyFile()) if path is None else Policy.read(path)
        self._by_digest = {self._policy.digest: self._policy}
        self._champion: Callable[[], Model] | None = None
        self._model: Callable[[str], Model | None] = lambda digest: None
        self._thresholds: dict[tuple[bytes, str], Thresholds] = {}

    @property
    def digest(self) -> bytes:
        """Of the policy that decides now. Never waits."""
        return self._policy.digest

    def bind(self, champion: Callable[[], Model], model: Callable[[str], Model | None]) -> None:
        """Take thresholds from models from now on. Raises `PolicyError` where the champion can't meet the policy's shares.

        model: one that made a score, by the beginning of its digest; None where it is not known any more.
        """
        thresholds_for(self._policy.file, champion())
        self._champion, self._model = champion, model
        if self._watch is not None:
            self._watch.start()

    def fallback(self, why: str) -> Decided:
        """What to do with a payment that was not judged in time."""
        return self._policy.fallback(why)

    def decide(self, score: Score, digest: bytes | None = None) -> Decided | None:
        """What to do with a payment that was judged; None where the policy of this digest is not known here.

        Lists count as of the time when its record was written, so that each replica and each restart says the same.
        """
        policy = self._policy if digest is None else self._by_digest.get(digest)
        if policy is None:
            return None
        known = 0 <= score.kafka_time <= _MOST_MS
        now = datetime.fromtimestamp(score.kafka_time / 1000, UTC) if known else datetime.now(UTC)
        return policy.decide(score, self._thresholds_of(policy, score.model_digest), now)

    def _thresholds_of(self, policy: Policy, digest: str) -> Thresholds:
        """A policy's thresholds as scores of the model that judged."""
        found = self._thresholds.get((policy.digest, digest))
        if found is None:
            model = self._model(digest) or (self._champion() if self._champion is not None else None)
            found = Thresholds() if model is None else _thresholds(policy, model)
            kept = dict(list(self._thresholds.items())[1 - _KEPT :])
            self._thresholds = {**kept, (policy.digest, digest): found}
        return found

    def _read_again(self) -> None:
        assert self._path is not None
        try:
            policy = Policy.read(self._path)
        except PolicyError as error:
            _log.error("%s; the one before stays in force", error)
            return
        if self._champion is not None:
            self._thresholds_of(policy, self._champion().digest[:DIGEST_DIGITS])
        self._by_digest = {**dict(list(self._by_digest.items())[1 - _KEPT :]), policy.digest: policy}
        self._policy = policy
        _log.info("the policy was read again")


def _thresholds(policy: Policy, model: Model) -> Thresholds:
    try:
        return thresholds_for(policy.file, model)
    except PolicyError as error:
        _log.error("%s; until then its own threshold is the review's, and nothing is declined by score", error)
        return Thresholds()
