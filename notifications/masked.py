"""Secrets of a policy: taken from the environment or a file where they are named, and masked in whatever is written."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import quote, unquote

from notifications.errors import PolicyError

_REFERENCE: Final = re.compile(r"\$\{([^}]*)\}")
_MOST_BYTES: Final = 10_000
MASK: Final = "****"


class Masked:
    """An Apprise URL with its secrets. Printed, it is as the policy has it: with the names of the secrets."""

    def __init__(self, written: str, environment: Mapping[str, str] = os.environ) -> None:
        self._written = written
        self._secrets: list[str] = []
        self.clear = _REFERENCE.sub(lambda found: self._taken(found[1], environment, self._safe(found)), written)

    def _safe(self, found: re.Match[str]) -> str:
        """What stays as it is of a secret: in a path slashes, as of Slack's three tokens in one variable."""
        rest = _REFERENCE.sub("", self._written[found.end() :])
        is_user = "@" in re.split("[/?]", rest)[0]
        return "" if is_user or "?" in self._written[: found.start()] else "/"

    def _taken(self, name: str, environment: Mapping[str, str], safe: str) -> str:
        """A secret as it stands in a URL. Raises `PolicyError`."""
        if name.startswith("file:"):
            secret = _read(Path(name.removeprefix("file:")))
        elif name in environment:
            secret = environment[name]
        else:
            raise PolicyError(f"a channel names the environment variable {name}, which is not set")
        if not secret:
            raise PolicyError(f"a channel's secret {name} is empty")
        parts = [secret, *(part for part in secret.split("/") if len(part) >= 6)]
        self._secrets += [each for part in parts for each in (part, quote(part, safe=""), quote(part, safe="/"))]
        return quote(secret, safe=safe)

    def mask(self, text: str) -> str:
        """A text, whatever it is, without the secrets, and without what a URL that names none has before its host."""
        hidden = [*self._secrets, *self._parts()]
        for secret in sorted(set(hidden), key=len, reverse=True):
            text = text.replace(secret, MASK)
        return text

    def _parts(self) -> list[str]:
        """What may be a secret in the URL as it is written: all between :// and ? that is long, and a password."""
        body = self._written.partition("://")[2].partition("?")[0]
        parts = [part for part in re.split(r"[/:@]", _REFERENCE.sub("", body)) if len(part) >= 16]
        password = re.search(r"://[^/@:]*:([^/@]+)@", _REFERENCE.sub("", self._written))
        found = parts + ([password[1]] if password else [])
        return [each for part in found for each in (part, unquote(part))]

    def __repr__(self) -> str:
        return self.mask(self._written)


def _read(path: Path) -> str:
    try:
        if not path.is_file():  # a pipe would be waited for
            raise PolicyError(f"a channel names the file {path}, which is not there, or no file")
        if path.stat().st_size > _MOST_BYTES:
            raise PolicyError(f"the file {path} is too large for a secret")
        return path.read_text().strip()
    except (OSError, ValueError) as error:
        raise PolicyError(f"the file {path} of a channel's secret can't be read: {type(error).__name__}") from None
