"""The models in use, kept where their ledger is, so that neither a restart nor a replay depends on the registry.

Each is one file, named by its digest: what a model is, and not what a registry calls it. Reading
runs no code from it, and refuses content that does not match its digest.
"""

import logging
import re
import threading
from collections.abc import Set as AbstractSet
from typing import Final, NamedTuple, Self

import msgspec

from detection.ledger import Versions
from detection.storage import Storage
from ml.features.available import available
from ml.model import Model, Origin
from ml.registry.model_store import Entry, ModelRefused, ModelStore, NotReady
from ml.registry.packed import unpack
from ml.schema import DIGEST_DIGITS

_log = logging.getLogger(__name__)

_KEPT: Final = 300
"""How many models are kept: those used last. More than the micro-batches that the ledger holds one by one."""

_USES: Final = "used"
_ENDING: Final = ".model"
_DIGITS: Final = 64
_DIGEST: Final = re.compile(f"[0-9a-f]{{{DIGEST_DIGITS},{_DIGITS}}}")


class Use(msgspec.Struct, frozen=True):
    """A model that was used: what it is, what people call it, and where it came from."""

    digest: str
    name: str
    version: int
    origin: Origin

    @classmethod
    def from_model(cls, model: Model) -> Self:
        """The use of a model."""
        return cls(model.digest, model.name, model.version, model.origin)

    @property
    def entry(self) -> Entry:
        """What its registry knows it by."""
        return Entry(self.version, self.origin)

    @property
    def called(self) -> str:
        """What the log calls it."""
        return f"version {self.version} of {self.name} ({self.digest[:DIGEST_DIGITS]}, from {self.origin.registry})"


class Loaded(NamedTuple):
    """A model that was loaded from the registry, with the file to keep of it; None where it is kept already."""

    model: Model
    content: bytes | None = None


class ModelVersions:
    """The models of one ledger, and the registry for what is not kept. others: nothing is written there."""

    def __init__(self, registry: ModelStore, folder: Storage, others: bool = False) -> None:
        self._others = others
        self._registry = registry
        self._folder = folder
        self._lock = threading.RLock()  # the poller keeps models while micro-batches purge them
        self._uses = self._read_uses()
        self._on_trial = ""

    def model(self, digest: str) -> Model:
        """A model that is kept. Raises `ModelRefused` where it is not, or where its file is not what its name says."""
        content = self._folder.read(digest + _ENDING)
        if content is None:
            raise ModelRefused(f"the model {digest} is not kept")
        return unpack(content, digest, available(), self._registry.extras)

    def of_entry(self, entry: Entry) -> Loaded:
        """The model that the registry means: the kept one where it was loaded from there before, else the registry's own.

        Raises `ModelRefused` where it must not be used, `ml.registry.model_store.NotReady` where not yet,
        `RegistryUnavailable` where it does not answer.
        """
        known = next((use for use in self._uses if (use.name, use.entry) == (self._registry.name, entry)), None)
        if known is not None:
            try:
                return Loaded(self.model(known.digest))
            except ModelRefused as refusal:
                _log.warning("%s is loaded from the registry again: %s", known.called, refusal)
        return Loaded(*self._registry.fetch(entry.version))

    def bound(self, versions: Versions) -> Model:
        """What the ledger names: kept, else in the registry under that version, if it is the same model.

        Raises `ModelRefused` where neither has it.
        """
        return self.named(versions.model_digest, versions.model)

    def named(self, digest: str, version: int) -> Model:
        """A model by its digest, or the beginning of that which scores carry. Raises as `bound` does.

        Anybody may write a score: what is no digest names no file, and what is shorter may begin several models' digests.
        """
        if digest and not _DIGEST.fullmatch(digest):
            raise ModelRefused(
                f"a model is named by {DIGEST_DIGITS} to {_DIGITS} hexadecimal digits of its digest, but this is {digest!r}"
            )
        try:
            return self.model(self._whole(digest))
        except ModelRefused as refusal:
            kept = refusal
        try:
            loaded = Loaded(*self._registry.fetch(version))
        except (ModelRefused, NotReady) as refusal:
            raise ModelRefused(f"{kept}, nor can it be had from the registry: {refusal}") from refusal
        if not digest or not loaded.model.digest.startswith(digest):
            raise ModelRefused(f"{kept}, and version {version} in the registry is another model, {loaded.model.digest}")
        self._keep(loaded)
        return loaded.model

    def _whole(self, digest: str) -> str:
        if not digest or len(digest) == _DIGITS:
            return digest
        kept = (name.removesuffix(_ENDING) for name in self._folder.names() if name.endswith(_ENDING))
        return next((name for name in kept if name.startswith(digest)), digest)

    def use(self, loaded: Loaded) -> None:
        """Keep a model that is about to be used, and remember it as the last one."""
        use = Use.from_model(loaded.model)
        with self._lock:
            self._keep(loaded)
            if self._uses[:1] != [use]:
                self._uses = [use, *(other for other in self._uses if other != use)][:_KEPT]
                self._folder.write_newest(_USES, msgspec.json.encode(self._uses))

    def keep_on_trial(self, loaded: Loaded) -> None:
        """Keep a model that is about to be on trial, in place of the one before; it is not what a restart goes on with."""
        with self._lock:
            self._keep(loaded)
            self._on_trial = loaded.model.digest

    def _keep(self, loaded: Loaded) -> None:
        """What is kept under its digest and is damaged is replaced."""
        name = loaded.model.digest + _ENDING
        with self._lock:
            if self._others or loaded.content is None or self._folder.read(name) == loaded.content:
                return
            self._folder.delete(name)
            self._folder.write(name, loaded.content)

    @property
    def last(self) -> Use | None:
        """The model that was used last."""
        return self._uses[0] if self._uses else None

    def purge(self, named: AbstractSet[str]) -> None:
        """Delete the models that are not named, by digest, and not among those used last."""
        with self._lock:
            wanted = {*named, self._on_trial, *(use.digest for use in self._uses)}
            for name in self._folder.names():
                if name.endswith(_ENDING) and name.removesuffix(_ENDING) not in wanted:
                    self._folder.delete(name)

    def _read_uses(self) -> list[Use]:
        content = self._folder.read_newest(_USES)
        try:
            return [] if content is None else msgspec.json.decode(content, type=list[Use])
        except ValueError as error:  # text that is not UTF-8 too
            _log.warning("which models were used last is no longer known: the file that says so is damaged (%s)", error)
            return []
