"""By what a record that comes by HTTP is judged: said on the record, by the replica that writes it into the log.

So each replica, and each restart, judges it by the same versions and decides by the same policy, whenever it has taken up
newer ones itself.
"""

from typing import Final, NamedTuple, Self

import msgspec
import xxhash

from messaging.headers import Headers, value_of

STAMP_HEADER: Final = "scoreline-judged-by"
_DIGEST_BYTES: Final = 8


class Stamp(NamedTuple):
    """Digests of the versions and of the policy."""

    versions: bytes
    policy: bytes

    @property
    def header(self) -> bytes:
        return self.versions + self.policy

    @classmethod
    def of(cls, headers: Headers) -> Self | None:
        """What a record says; None where it came another way, or by a release before."""
        found = value_of(headers, STAMP_HEADER) if headers else None
        if found is None or len(found) != 2 * _DIGEST_BYTES:
            return None
        return cls(found[:_DIGEST_BYTES], found[_DIGEST_BYTES:])


def digest_of(what: msgspec.Struct) -> bytes:
    """(8,) equal on each machine for what is equal."""
    return xxhash.xxh3_64_digest(msgspec.json.encode(what, order="deterministic"))
