"""What a JSON text looks like without decoding it: which names its outermost object repeats, and how deep it is nested."""

import re
from collections import Counter
from collections.abc import Sequence
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

_decode_text: Final = msgspec.json.Decoder(str).decode
_escaped_in_a_name: Final = re.compile(rb"\\u00[34567]").search
"""Finds the escapes of the characters that names consist of: letters, digits and the underscore."""
_QUOTATION_MARK: Final = ord('"')
_DEEPER: Final = np.zeros(256, np.int32)
"""What each byte outside texts does to the number of objects and arrays that are open."""
_DEEPER[list(b"[{")], _DEEPER[list(b"]}")] = 1, -1


class Names:
    """Some names of members of JSON objects, which consist of ASCII letters, digits and underscores."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = tuple(names)
        self._quoted = [f'"{name}"'.encode() for name in names]
        # They end before the second quotation mark; some are the ends of texts that read like a name.
        pattern = b'"(?:' + b"|".join(map(_spelled, names)) + rb')(?="[ \t\r\n]*:)'
        self._find = re.compile(pattern).finditer

    def repeated(self, value: bytes) -> list[str]:
        """Which of them the outermost object of a JSON text has more than once, however they are written."""
        if max(map(value.count, self._quoted)) <= 1 and not (b"\\u00" in value and _escaped_in_a_name(value)):
            return []
        characters, depths = _structure(value)
        found = [
            name
            for name in self._find(value)
            if depths[name.start()] == 1 and characters[name.start()] == _QUOTATION_MARK
        ]
        names = Counter(_decode_text(name[0] + b'"') for name in found)
        return [name for name in self._names if names[name] > 1]


def _spelled(name: str) -> bytes:
    """A pattern of a name of which any character may be written as an escape."""
    return b"".join(b"(?:%c|%b)" % (letter, rb"\\u00(?i:%02x)" % letter) for letter in name.encode())


def depth(value: bytes) -> int:
    """How deep objects and arrays of a JSON text are nested."""
    return int(_structure(value)[1].max(initial=0))


def _structure(value: bytes) -> "tuple[npt.NDArray[np.uint8], npt.NDArray[np.int32]]":
    """(n,) of the n bytes of a JSON text: the bytes, with blanks for backslashes and quotation marks that texts hold as
    escapes, and how many objects and arrays are open after each.

    NumPy does it, because a text of 64 kB may be nothing but brackets, and many such messages may come.
    """
    # Two by two, from the left: backslashes occur in texts alone, and a run of them begins with an escape.
    characters = np.frombuffer(value.replace(b"\\\\", b"  ").replace(b'\\"', b"  "), np.uint8)
    outside = np.cumsum(characters == _QUOTATION_MARK, dtype=np.int32) & 1 == 0
    return characters, np.cumsum(_DEEPER[characters] * outside, dtype=np.int32)
