"""The page's secret key, and what is signed with it."""

import hashlib
import hmac
import os
import secrets
from pathlib import Path
from typing import Final

from page.errors import PageError

_BYTES: Final = 32
FILE: Final = "secret"


def secret_key(folder: Path) -> bytes:
    """The key in a file of the page's folder, which is made once, for its owner alone. Raises `PageError`."""
    path = folder / FILE
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _make(path)
        if path.stat().st_mode & 0o077:
            raise PageError(f"the key {path} can be read by others: chmod 600 it, or remove it and a new one is made")
        key = path.read_bytes()
    except OSError as error:
        raise PageError(f"the key {path} can't be read or made: {error}") from error
    if len(key) < _BYTES:
        raise PageError(f"the key {path} is cut short: remove it, and a new one is made; everybody signs in again then")
    return key


def _make(path: Path) -> None:
    """Two pages that start at once keep the same key: the file appears whole, and the first one stays."""
    if path.exists():
        return
    new = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    number = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(number, "wb") as file:
            file.write(secrets.token_bytes(_BYTES))
            file.flush()
            os.fsync(file.fileno())
        try:
            path.hardlink_to(new)
        except FileExistsError:
            return
    finally:
        new.unlink(missing_ok=True)


def signature(key: bytes, purpose: str, text: str) -> str:
    """HMAC-SHA256, hexadecimal, of a text for one purpose."""
    return hmac.new(key, f"{purpose}\0{text}".encode(), hashlib.sha256).hexdigest()


def same(one: str, other: str) -> bool:
    """Whether two signatures are the same, in constant time."""
    return hmac.compare_digest(one.encode(), other.encode("utf-8", "replace"))
