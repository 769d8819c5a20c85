"""What a route or a silence is for: a condition over alerts and events, in the language of rule-engine."""

import logging
from collections.abc import Mapping
from typing import Any, Final

import rule_engine

from ml.features import FEATURES
from ml.schema import TRANSACTION_FIELDS
from notifications.errors import PolicyError

_log = logging.getLogger(__name__)

_TEXT, _NUMBER = rule_engine.DataType.STRING, rule_engine.DataType.FLOAT
TYPES: Final = {
    **dict.fromkeys(("record", "severity", "segment", "lane"), _TEXT),
    **dict.fromkeys(TRANSACTION_FIELDS, _TEXT),
    "event_time": rule_engine.DataType.DATETIME,
    **dict.fromkeys(("amount", "latitude", "longitude", "anomaly_score", "threshold", "model_version"), _NUMBER),
    "late": rule_engine.DataType.BOOLEAN,
    "reasons": rule_engine.DataType.ARRAY(_TEXT),
    **dict.fromkeys(FEATURES, _NUMBER),
    **dict.fromkeys(("event", "subject", "source", "words"), _TEXT),
    "resolved": rule_engine.DataType.BOOLEAN,
}
"""What a condition may speak of. What an alert or an event does not have is null."""

_context: Final = rule_engine.Context(type_resolver=rule_engine.type_resolver_from_dict(TYPES), default_timezone="utc")


class Condition:
    """A condition. Raises `PolicyError` where it can't be used.

    >>> Condition('anomaly_score * amount > 100 and "speed_kmh" in reasons').matches(
    ...     dict.fromkeys(TYPES) | {"anomaly_score": 0.8, "amount": 200.0, "reasons": ("speed_kmh",)}
    ... )
    True
    """

    def __init__(self, written: str) -> None:
        self._written = written
        try:
            self._rule = rule_engine.Rule(written, context=_context)
        except rule_engine.SymbolResolutionError as error:
            raise PolicyError(
                f"its condition speaks of {error.symbol_name}, but one may speak of {', '.join(TYPES)}"
            ) from error
        except (rule_engine.EngineError, ArithmeticError, RecursionError) as error:
            why = error.message if isinstance(error, rule_engine.EngineError) else type(error).__name__
            raise PolicyError(f"its condition can't be used ({why}): {written}") from error

    def matches(self, facts: Mapping[str, Any]) -> bool:
        """Whether it holds. Where what it computes has no value, as of a field that is null, it does not."""
        try:
            return bool(self._rule.matches(facts))
        except (rule_engine.EngineError, ArithmeticError, TypeError, RecursionError) as error:
            _log.debug("the condition %s does not hold: %s", self._written, error)
            return False
