"""The numbers that a bank has declared: what it knows of a payment beside the contract's fields, each with its range.

A declaration is a TOML file, an extra a table:

    [device_risk]
    lowest = 0
    highest = 1
    about = "risk of the device, by its vendor"
    unknown = 0.5  # what a model takes for it where it is unknown; without, the median of its training
"""

import math
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
import numpy as np
from msgspec import Meta

from ml.arrays import Floats
from ml.features.available import available
from ml.one_line import one_line
from ml.schema import is_extra_name

MOST: Final = 64
"""Extras that may be declared: each is a number on every message, score and row of a history."""


class DeclarationError(Exception):
    """A declaration can't be read; the text says which file and extra, what was required and what came."""


class Extra(msgspec.Struct, frozen=True):
    """One declared number: from `lowest` to `highest`, both included; outside it counts as unknown.

    unknown: what a model that is trained with it takes for it where it is unknown; None: the median of its training.
    """

    name: str
    lowest: float
    highest: float
    about: str = ""
    unknown: float | None = None

    @property
    def range(self) -> str:
        """In words.

        >>> Extra("age", 0, 36500.5).range
        'a number from 0 to 36,500.5'
        """
        return f"a number from {_short(self.lowest)} to {_short(self.highest)}"


Declared = tuple[Extra, ...]
NOTHING: Final[Declared] = ()


class _Table(msgspec.Struct, forbid_unknown_fields=True):
    lowest: float
    highest: float
    about: Annotated[str, Meta(min_length=1, max_length=200)]
    unknown: float | None = None


def read(file: Path | None) -> Declared:
    """The extras that a file declares, in its order; none without a file. Raises `DeclarationError`."""
    if file is None:
        return NOTHING
    try:
        tables = tomllib.loads(file.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise DeclarationError(f"the declaration of extras {file} is not TOML: {one_line(error)}") from None
    except (OSError, ValueError) as error:  # not UTF-8, an integer of 5,000 digits, a file name that can't be one
        raise DeclarationError(f"the declaration of extras {file} can't be read: {one_line(error)}") from None
    if not 0 < len(tables) <= MOST:
        raise DeclarationError(f"{file} must declare 1 to {MOST} extras, each as a table, but it has {len(tables)}")
    return tuple(_extra(name, table, file) for name, table in tables.items())


def _extra(name: str, table: Any, file: Path) -> Extra:
    if not is_extra_name(name) or name in available():
        raise DeclarationError(
            f"{file} declares an extra {name!r:.80}: a name has letters, digits and underscores, begins with a letter, has at "
            "most 64 characters, and is neither a field of a transaction, nor a feature, nor begins with extra_"
        )
    try:
        found = msgspec.convert(table, _Table)
    except (msgspec.ValidationError, OverflowError) as error:
        raise DeclarationError(
            f"the extra {name} in {file} must have lowest and highest (numbers), about (a text), and perhaps unknown (a "
            f"number): {one_line(error)}"
        ) from None
    numbers = found.lowest, found.highest, found.unknown or 0.0
    if not all(map(math.isfinite, numbers)) or not found.lowest < found.highest:
        raise DeclarationError(
            f"the extra {name} in {file} must have finite numbers, lowest below highest, but they are {found.lowest:g} and "
            f"{found.highest:g}, and unknown is {found.unknown}"
        )
    return Extra(name, found.lowest, found.highest, found.about, found.unknown)


def names(declared: Declared) -> tuple[str, ...]:
    """What they are called, in their order."""
    return tuple(extra.name for extra in declared)


def within(declared: Declared, column: str, numbers: Floats) -> Floats:
    """Some values (n,) of an extra, NaN for what lies outside its range; as they are where it is not declared.

    >>> within((Extra("risk", 0, 1),), "risk", np.array([0.5, 2.0, -0.0])).tolist()
    [0.5, nan, -0.0]
    """
    extra = next((extra for extra in declared if extra.name == column), None)
    if extra is None:
        return numbers
    return np.where((numbers >= extra.lowest) & (numbers <= extra.highest), numbers, np.nan)


def undeclared(declared: Declared, needed: Sequence[str]) -> list[str]:
    """Which of some extras are not declared."""
    there = names(declared)
    return [name for name in needed if name not in there]


def _short(number: float) -> str:
    return f"{number:,.15g}"
