"""A number in a panel's unit, as Grafana writes it, for pictures of dashboards."""

from datetime import UTC, datetime
from typing import Any, Final

_STEPS: Final = ((1e9, "G"), (1e6, "M"), (1e3, "k"))


def in_unit(value: float, settings: dict[str, Any]) -> str:
    """A value by the `defaults` of a panel's fields.

    >>> in_unit(1234.0, {"unit": "suffix: /s", "decimals": 0}), in_unit(0.031, {"unit": "percentunit", "decimals": 1})
    ('1.23k /s', '3.1 %')
    >>> in_unit(90.0, {"unit": "s"}), in_unit(2.0, {"unit": "prefix:v", "decimals": 0}), in_unit(0, {"unit": "bool_yes_no"})
    ('1.5 min', 'v2', 'no')
    """
    unit = settings.get("unit") or "short"
    match unit.split(":")[0]:
        case "prefix":
            return f"{unit[7:]}{value:.0f}"
        case "suffix":
            return _short(value) + unit[7:]
        case "percentunit":
            return f"{_plain(100 * value)} %"
        case "percent":
            return f"{_plain(value)} %"
        case "bool_yes_no":
            return "yes" if value else "no"
        case "dateTimeFromNow":
            return f"{datetime.fromtimestamp(value / 1000, UTC):%H:%M:%S}"
        case "bytes":
            return f"{value / 2**20:,.0f} MiB"
        case "s" | "ms":
            return _duration(value / 1000 if unit == "ms" else value)
    return _short(value)


def _short(value: float) -> str:
    for size, letter in _STEPS:
        if abs(value) >= size:
            return f"{value / size:.3g}{letter}" if value % size else f"{value / size:.0f}{letter}"
    return _plain(value)


def _plain(value: float) -> str:
    return f"{value:.0f}" if value == round(value) or abs(value) >= 100 else f"{value:.2g}"


def _duration(seconds: float) -> str:
    """
    >>> _duration(0.0031), _duration(0.45), _duration(12), _duration(7200)
    ('3.1 ms', '450 ms', '12 s', '2 h')
    """
    if abs(seconds) < 1:
        return f"{_plain(1000 * seconds)} ms"
    if abs(seconds) < 60:
        return f"{_plain(seconds)} s"
    return f"{_plain(seconds / 60)} min" if abs(seconds) < 3600 else f"{_plain(seconds / 3600)} h"
