"""Reading YAML that people write: one error for whatever is wrong with it."""

from typing import Any

import yaml


class NoYAML(ValueError):
    """A text is no YAML, or a value in it is not what its form says; the text says which, in one line."""


def plain(text: str | bytes) -> Any:
    """What a YAML text holds, as dicts, lists and scalars. Raises `NoYAML`.

    >>> plain("until: 2026-01-31")
    {'until': datetime.date(2026, 1, 31)}
    """
    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, LookupError, AttributeError, ArithmeticError, RecursionError) as error:
        # PyYAML's constructors raise what they come across: ValueError for 2026-02-30, AttributeError for `!!timestamp x`, ...
        raise NoYAML(_in_words(error)) from None


def _in_words(error: Exception) -> str:
    """What is wrong and where, without the lines around it: a file of settings may have secrets in them."""
    if not isinstance(error, yaml.MarkedYAMLError):
        return " ".join(str(error).split()) or type(error).__name__
    mark = error.problem_mark or error.context_mark
    place = "" if mark is None else f"line {mark.line + 1}, column {mark.column + 1}"
    return " ".join(", ".join(filter(None, (error.context, error.problem, place))).split())
