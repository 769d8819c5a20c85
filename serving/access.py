"""Who may ask, and how often: API keys, known by their hashes, each with a rate."""

import hashlib
import hmac
import logging
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Final, NamedTuple

import msgspec
from msgspec import Meta

from ml.yaml_file import plain
from serving.answers import Refused
from serving.errors import ServiceError
from serving.http import RequestRefused, Scope, header
from serving.watched_file import WatchedFile

_log = logging.getLogger(__name__)


_LONGEST_SECONDS: Final = 86_400.0
"""After which a caller comes back at the latest."""


class Key(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A caller's key. sha256: of the key, hexadecimal. rate: transactions a second; null for no limit."""

    sha256: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
    rate: Annotated[float, Meta(gt=0)] | None = None


class _Bucket:
    """A token bucket: `rate` a second, at most one second's worth at once."""

    def __init__(self, rate: float, clock: Callable[[], float]) -> None:
        self._rate, self._clock = rate, clock
        self._most = max(rate, 1.0)
        self._tokens, self._at = self._most, clock()

    def take(self, number: int) -> float:
        """Takes so many, or none and returns in how many seconds there will be enough."""
        now = self._clock()
        self._tokens = min(self._most, self._tokens + (now - self._at) * self._rate)
        self._at = now
        if self._tokens >= min(number, self._most):
            self._tokens -= number
            return 0.0
        return (min(number, self._most) - self._tokens) / self._rate


class _Callers(NamedTuple):
    """By one set of keys: names by the keys' digests, and by name what is left of each rate."""

    keys: dict[str, Key]
    names: dict[bytes, str]
    buckets: dict[str, _Bucket]


class Access:
    """Checks requests against the keys; without keys everybody may ask."""

    def __init__(self, keys: dict[str, Key], clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._callers = _Callers({}, {}, {})
        self.take(keys)

    @classmethod
    def read(cls, path: Path | None) -> "Access":
        """The keys in a YAML file, by name; they are read again when it changes. Raises `ServiceError`."""
        if path is None:
            return cls({})
        access = cls({})
        watch = WatchedFile(
            path, lambda: access.read_again(path)
        )  # a change while it is read is seen at the first look
        access.take(_keys_in(path))
        watch.start()
        return access

    def read_again(self, path: Path) -> None:
        """Take the keys that are in the file now. Where it can't be read, that is logged, and those before stay valid."""
        try:
            if not path.is_file():  # a pipe would be waited for, and no later change be seen
                raise ServiceError(f"the keys {path} can't be read: it is no file")
            self.take(_keys_in(path))
        except ServiceError as error:
            _log.error("%s; those before stay valid", error)
        else:
            _log.info("the keys were read again: %s", ", ".join(sorted(self._callers.keys)))

    def take(self, keys: dict[str, Key]) -> None:
        """From now on these keys are valid. Whose rate is what it was goes on with what is left of it."""
        before = self._callers
        buckets = {
            name: before.buckets[name]
            if name in before.buckets and before.keys[name].rate == key.rate
            else _Bucket(key.rate, self._clock)
            for name, key in keys.items()
            if key.rate is not None
        }
        self._callers = _Callers(keys, {bytes.fromhex(key.sha256): name for name, key in keys.items()}, buckets)

    @property
    def needs_key(self) -> bool:
        """Whether a request needs a key."""
        return bool(self._callers.keys)

    def caller(self, scope: Scope) -> str:
        """The name of who asks; "" where no keys are set. Raises `RequestRefused` (401)."""
        names = self._callers.names
        if not names:
            return ""
        given = header(scope, b"authorization") or b""
        kind, _, key = given.partition(b" ")
        digest = hashlib.sha256(key.strip()).digest()
        found = next((name for known, name in names.items() if hmac.compare_digest(known, digest)), None)
        if kind.lower() != b"bearer" or found is None:
            raise RequestRefused(
                Refused("no access", 401, "a key is needed: send the header `Authorization: Bearer KEY`"),
                {"www-authenticate": "Bearer"},
            )
        return found

    def spend(self, caller: str, number: int = 1) -> None:
        """Count so many transactions against a caller's rate. Raises `RequestRefused` (429) with when to come back."""
        bucket = self._callers.buckets.get(caller)
        wait = bucket.take(number) if bucket is not None else 0.0
        if wait > 0:
            raise RequestRefused(
                Refused("too many", 429, f"{caller} has used up its rate; come back in {wait:.2f} s"),
                {"retry-after": str(math.ceil(min(wait, _LONGEST_SECONDS)))},
            )


def _keys_in(path: Path) -> dict[str, Key]:
    """The keys in a file, at least one: a file that was cut short must not let everybody ask. Raises `ServiceError`."""
    try:
        keys = msgspec.convert(plain(path.read_text()), dict[str, Key])
    except (OSError, ValueError) as error:
        raise ServiceError(f"the keys {path} can't be read: {' '.join(str(error).split())}") from error
    if not keys:
        raise ServiceError(f"the keys {path} can't be read: it has none, and without --serve-keys everybody may ask")
    return keys
