"""Passwords and their hashes, by argon2id with the parameters of RFC 9106 for machines with little memory."""

from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.profiles import RFC_9106_LOW_MEMORY

SHORTEST: Final = 10
LONGEST: Final = 1_024
"""Characters of a password; a longer one is refused before it is hashed."""

_HASHER: Final = PasswordHasher.from_parameters(RFC_9106_LOW_MEMORY)
_NOBODYS: Final = "$argon2id$v=19$m=65536,t=3,p=4$c2NvcmVsaW5lLW5vYm9keQ$0000000000000000000000000000000000000000000"
"""What the password of a user who is not there is compared with, so that it takes as long."""


def hashed(password: str) -> str:
    """The hash to keep. Raises ValueError where the password can't be one."""
    if not SHORTEST <= len(password) <= LONGEST:
        raise ValueError(f"a password has {SHORTEST} to {LONGEST:,} characters")
    return _HASHER.hash(password)


def is_hash(text: str) -> bool:
    """Whether a text is a hash that `matches` can compare with."""
    try:
        _HASHER.check_needs_rehash(text)
    except InvalidHashError:
        return False
    return True


def matches(kept: str | None, password: str) -> bool:
    """Whether it is the password of a hash. None, for a user who is not there, takes as long and is never right."""
    try:
        _HASHER.verify(_NOBODYS if kept is None else kept, password[: LONGEST + 1])
    except (VerificationError, InvalidHashError):
        return False
    return kept is not None and len(password) <= LONGEST
