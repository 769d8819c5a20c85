"""Amounts of several currencies, brought into one before they are folded, by a table of rates."""

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Final, Self

import msgspec
import numpy as np
import pyarrow as pa
from msgspec import Meta

from ml.arrays import Floats
from ml.compiling import compiled
from ml.features.computing import roundness
from ml.features.state_schema import FEATURES, LARGEST_AMOUNT
from ml.one_line import one_line
from ml.schema import DIGEST_DIGITS

DEFAULT_FILE: Final = "currency_rates.json"

Code = Annotated[str, Meta(pattern=r"^[A-Z]{3}\Z")]
Rate = Annotated[float, Meta(gt=0, le=1e12)]

_ROUNDNESS: Final = FEATURES.index("roundness")
UNKNOWN: Final = 0.0
"""The rate of an unknown currency: any other would be a guess, by which anybody could raise what is usual for a customer."""


class RatesUnreadable(ValueError):
    """A file is not a table of rates; the text says which, and what one is."""


class Rates(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one unit of each currency (ISO 4217) is worth in the base currency.

    date and source say of when and from whom the rates are, for people alone. A transaction that names no currency is in the
    base currency. Where there is no base currency, as in `AS_PAID`, all amounts are folded as they were paid.
    """

    base: Code
    date: Annotated[str, Meta(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}\Z")]
    source: str
    rates: dict[Code, Rate]

    @classmethod
    def read(cls, path: Path) -> Self:
        """A table from a JSON file. Raises `RatesUnreadable`."""
        try:
            return cls.from_json(path.read_bytes())
        except (OSError, ValueError) as error:
            raise RatesUnreadable(
                f"{path} should be a table of currency rates, but it can't be read as one: {one_line(error)}. It is a JSON "
                "object of base, date, source, and rates, by currency what one unit of it is worth in the base currency; "
                f"ml/features/{DEFAULT_FILE} is one"
            ) from error

    @classmethod
    def from_json(cls, content: bytes) -> Self:
        """A table from JSON. Raises ValueError."""
        table = msgspec.json.decode(content, type=cls)
        json.loads(content, object_pairs_hook=_each_once)
        if table.rates.get(table.base, 1.0) != 1.0:
            raise ValueError(f"the base currency is {table.base}, whose rate is 1, not {table.rates[table.base]:g}")
        return table

    @property
    def version(self) -> str:
        """What the amounts depend on, as a digest: the first `DIGEST_DIGITS` of a SHA-256; "" of `AS_PAID`."""
        if not self.base:
            return ""
        worth = sorted((self.rates | {self.base: 1.0}).items())
        return hashlib.sha256(msgspec.json.encode([self.base, worth])).hexdigest()[:DIGEST_DIGITS]

    def rate(self, currency: str | None) -> float:
        """What one unit of a currency is worth; 0 of an unknown one.

        >>> table = Rates("EUR", "2026-10-30", "an example", {"PLN": 0.25})
        >>> [table.rate(currency) for currency in ("PLN", "EUR", None, "pln")]
        [0.25, 1.0, 1.0, 0.0]
        """
        if currency is None or currency == self.base or not self.base:
            return 1.0
        return self.rates.get(currency, UNKNOWN)

    def rates_of(self, currencies: "Sequence[str | None]") -> Floats | None:
        """(n,) of n currencies; None where all are 1."""
        if not self.base:
            return None
        known = {currency: self.rate(currency) for currency in set(currencies)}
        if all(rate == 1 for rate in known.values()):
            return None
        return np.array([known[currency] for currency in currencies])

    def rates_of_column(self, currencies: "pa.ChunkedArray[pa.StringScalar]") -> Floats | None:
        """The same of a column."""
        encoded = currencies.combine_chunks().dictionary_encode(null_encoding="encode")
        known = self.rates_of(encoded.dictionary.to_pylist())
        return None if known is None else known[encoded.indices.to_numpy()]


def _each_once(members: list[tuple[str, Any]]) -> None:
    """Refuse an object that says two things of the same name: which of them counts would be a guess."""
    for name, times in Counter(name for name, _ in members).items():
        if times > 1:
            raise ValueError(f"{name} stands in it more than once")


AS_PAID: Final = Rates("", "", "", {})
"""No rates: amounts are folded as they were paid, whatever their currency."""


@cache
def default_rates() -> Rates:
    """The built-in table; the file says of which day it is, and from whom."""
    return Rates.from_json(resources.files(__package__).joinpath(DEFAULT_FILE).read_bytes())


def in_base(amounts: Floats, rates: Floats | None) -> Floats:
    """Amounts (n,) at rates (n,), in the base currency; at a rate of 1 they are what they were, bit for bit.

    No more than `LARGEST_AMOUNT`, which the fold takes all larger ones for. An amount in an unknown currency is 0.
    """
    if rates is None:
        return amounts
    with np.errstate(over="ignore"):
        worth = np.minimum(amounts * rates, LARGEST_AMOUNT)
    return np.where(rates == 1, amounts, worth)


def keep_roundness(features: Floats, folded: Floats, paid: Floats) -> None:
    """Make the roundness of transactions, in their features (n, len(FEATURES)), that of the amounts that were paid.

    folded, paid: (n,) what was folded and what was paid. Who chooses an amount chooses it in the currency that is paid: 100 PLN
    are a round amount, whatever they are worth.
    """
    rows = np.flatnonzero(folded != paid)
    if len(rows):
        features[rows, _ROUNDNESS] = _roundness_of(np.minimum(paid[rows], LARGEST_AMOUNT))


@compiled
def _roundness_of(amounts: Any) -> Any:
    out = np.empty(len(amounts))
    for i in range(len(amounts)):
        out[i] = roundness(amounts[i])
    return out
