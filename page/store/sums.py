"""Sums of amounts that no amount breaks: PostgreSQL fails at a sum that no float holds."""

from typing import Any, Final

from sqlalchemy import ColumnElement, case, func
from sqlalchemy.sql.functions import FunctionElement

LARGEST: Final = 1e290
"""An amount counts as no more in a sum."""


def total(amounts: ColumnElement[float]) -> FunctionElement[Any]:
    """The sum of a column of amounts, over the rows of a group."""
    return func.sum(case((amounts > LARGEST, LARGEST), else_=amounts))
