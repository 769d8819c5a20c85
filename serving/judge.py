"""By what the service judges, and from which place in the log on: its own ledger."""

import logging
import re
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Final

import msgspec

from detection.decision import Decision
from detection.errors import VersionUnavailable
from detection.ranges import Versions
from detection.storage import Storage
from ml.model import Model
from ml.registry.model_store import RegistryError
from serving.errors import StateRefused
from serving.kept_files import decoded
from serving.stamp import Stamp, digest_of

_log = logging.getLogger(__name__)

_KEPT: Final = 1_000
_NOT_TO_BE_HAD: Final = (VersionUnavailable, RegistryError, OSError)
"""What versions that can't be had now raise; the registry's errors where the copy kept here is damaged or gone."""
_NAME: Final = re.compile(r"([0-9]+)\.json")
_REMEDY: Final = "put the folder ledger back from a copy, or start with another --serve-state"


class Epoch(msgspec.Struct, frozen=True):
    """From these offsets on, by partition, these versions judge; partitions that are not named begin with the epoch."""

    number: int
    versions: Versions
    start: dict[int, int]
    topic_id: str = ""


_decode: Final = msgspec.json.Decoder(Epoch).decode


class ServiceLedger:
    """Epochs, each a file, durable before the first answer that rests on it. The newest `_KEPT` stay.

    Raises `StateRefused` where a file is damaged, or one is lost from between others: by its neighbour's versions, answers
    could be contradicted.
    """

    def __init__(self, folder: Storage) -> None:
        self._folder = folder
        numbers = sorted(int(found[1]) for found in map(_NAME.fullmatch, folder.names()) if found)
        for number, after in pairwise(numbers):
            if after > number + 1:
                raise StateRefused(f"the file ledger/{number + 1}.json of --serve-state is lost: {_REMEDY}")
        self.epochs = [self._read(number) for number in numbers]

    def begin(self, versions: Versions, start: Mapping[int, int], topic_id: str = "") -> Epoch:
        """Record that these versions judge from here on; durable on return."""
        number = self.epochs[-1].number + 1 if self.epochs else 0
        epoch = Epoch(number, versions, dict(start), topic_id)
        self._folder.write(f"{number}.json", msgspec.json.encode(epoch))
        self.epochs.append(epoch)
        while len(self.epochs) > _KEPT:
            self._folder.delete(f"{self.epochs.pop(0).number}.json")
        return epoch

    def versions_at(self, partition: int, offset: int, topic_id: str = "") -> Versions | None:
        """What judges a record; None where it is before all that is kept."""
        for epoch in reversed(self.epochs):
            if topic_id and epoch.topic_id not in ("", topic_id):
                return None
            if epoch.start.get(partition, 0) <= offset:
                return epoch.versions
        return None

    def _read(self, number: int) -> Epoch:
        file = f"{number}.json"
        epoch = decoded(self._folder.read(file) or b"", f"ledger/{file}", _decode, _REMEDY)
        if epoch.number != number:
            raise StateRefused(f"the file ledger/{file} of --serve-state is that of epoch {epoch.number}: {_REMEDY}")
        return epoch


class Judge:
    """The decision for records as they come: by the newest versions, once the ledger has them.

    newest: the versions that new records should be judged by. decision: what versions stand for.
    """

    def __init__(
        self,
        ledger: ServiceLedger,
        newest: Callable[[], Versions],
        decision: Callable[[Versions], Decision],
        topic_id: str = "",
    ) -> None:
        self._ledger = ledger
        self._newest = newest
        self._load = decision
        self._topic_id = topic_id
        self._decisions: dict[Versions, Decision] = {}
        self._named = {digest_of(epoch.versions): epoch.versions for epoch in ledger.epochs}
        self._loaded: dict[bytes, Versions] = {}
        self._stamped: tuple[Versions, Stamp] | None = None
        self._trouble = ""

    def current(self, next_offsets: Mapping[int, int]) -> Decision:
        """The decision for the records from `next_offsets` on, by partition. A change is durable before it is returned.

        Where the newest versions can't be had, or a full disk does not take their record, those before go on.
        """
        epochs = self._ledger.epochs
        try:
            newest = self._newest()
            if epochs and epochs[-1].versions == newest:
                return self.decision(newest)
            decision = self.decision(newest)
            self._ledger.begin(newest, next_offsets, self._topic_id)
        except _NOT_TO_BE_HAD as error:
            if not epochs:
                raise
            self._report(str(error))
            return self.decision(epochs[-1].versions)
        self._trouble = ""
        _log.info("version %d of %s, thresholds %d judge from here on", newest.model, newest.name, newest.thresholds)
        return decision

    def agreed(self, versions: Versions, next_offsets: Mapping[int, int]) -> Decision:
        """The decision for records whose stamp says by what they are judged; where that is the newest, it begins as such."""
        try:
            newest = self._newest()
        except _NOT_TO_BE_HAD:
            newest = None
        return self.current(next_offsets) if versions == newest else self.decision(versions)

    def stamped(self, digest: bytes) -> Versions | None:
        """The versions of this digest, where they are the newest here or have judged before; no others are loaded for it."""
        loaded = self._loaded.get(digest)
        if loaded is not None:
            return loaded
        try:
            versions = self._named.get(digest) or self._newest()
            self.decision(versions)
        except _NOT_TO_BE_HAD:
            return None
        return versions if digest_of(versions) == digest else None

    def stamp(self, policy: bytes) -> Stamp | None:
        """By what the next record is judged, and this policy; None while there is nothing to judge by. For any thread."""
        last = self._stamped
        try:
            newest = self._newest()
            if last is not None and last[1].policy == policy and last[0] == newest:
                return last[1]
            versions = self.newest().versions
        except _NOT_TO_BE_HAD:
            return None
        stamp = Stamp(digest_of(versions), policy)
        if versions == newest:
            self._stamped = versions, stamp
        return stamp

    def model(self, digest: str) -> Model | None:
        """A model that judges, or judged lately, by the beginning of its digest."""
        decisions = self._decisions.values()
        trials = [each.trial.model for each in decisions if each.trial is not None]
        models = (*(each.model for each in decisions), *trials)
        return next((model for model in models if model.digest.startswith(digest)), None)

    def newest(self) -> Decision:
        """What the next record will be judged by, for whoever only asks: nothing is recorded. For any thread."""
        try:
            return self.decision(self._newest())
        except _NOT_TO_BE_HAD:
            if not self._ledger.epochs:
                raise
            return self.decision(self._ledger.epochs[-1].versions)

    @property
    def versions(self) -> Versions | None:
        """What judged last; None before the first record."""
        epochs = self._ledger.epochs
        return epochs[-1].versions if epochs else None

    def at(self, partition: int, offset: int) -> Versions | None:
        """What judged a record before; None where nothing did, as far as the ledger knows."""
        return self._ledger.versions_at(partition, offset, self._topic_id)

    def decision(self, versions: Versions) -> Decision:
        """What versions stand for. Raises `detection.errors.VersionUnavailable`."""
        known = self._decisions.get(versions)
        if known is None:
            known = self._load(versions)
            self._decisions = {**dict(list(self._decisions.items())[-7:]), versions: known}
            self._named = {**self._named, digest_of(versions): versions}
            self._loaded = {digest_of(each): each for each in self._decisions}
        return known

    def _report(self, why: str) -> None:
        """Once for each trouble."""
        if why != self._trouble:
            self._trouble = why
            _log.error("the newest versions can't judge (%s): those before go on", why)
