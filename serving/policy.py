"""What to do with a payment: a small file of thresholds, lists and rules, re-read when it changes."""

import logging
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec
import rule_engine
import xxhash
from msgspec import Meta

from ml.features import FEATURES
from ml.schema import TRANSACTION_FIELDS, Score
from ml.yaml_file import plain
from serving.answers import Decided, Verdict
from serving.stamp import digest_of

_log = logging.getLogger(__name__)

Share = Annotated[float, Meta(ge=0, le=1)]
Name = Annotated[str, Meta(min_length=1, max_length=100)]
_RELEASE_SEED: Final = 0x5C0E
_ORDER: Final[dict[Verdict, int]] = {"approve": 0, "review": 1, "decline": 2}


class PolicyError(Exception):
    """A policy file can't be used; the text says where and why."""


class Listed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Values of a field that are always approved, or never, until a time."""

    field: Literal["customer_id", "merchant_id", "device_id", "country"]
    values: frozenset[str]
    then: Literal["always", "never"]
    reason: str
    until: datetime | None = None


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A condition over a transaction's fields and features, in the language of rule-engine. shadow: it only says so."""

    name: Name
    when: str
    then: Verdict
    reason: str
    shadow: bool = False


class PolicyFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A policy as it is written. review, decline: shares of the traffic; null: the model's own threshold, and nothing.

    decline may be `training` too: above the threshold that training found for declines, where the model has one.

    fallback: what is answered where no judgement came in time. shadow: all is approved, and what would have been said is
    recorded. released: the share of would-be declines that pass at random, so that their truth becomes known.
    """

    review: Share | None = None
    decline: Share | Literal["training"] | None = None
    fallback: Verdict = "approve"
    shadow: bool = False
    released: Annotated[float, Meta(ge=0, le=0.01)] = 0.0
    lists: tuple[Listed, ...] = ()
    rules: tuple[Rule, ...] = ()


class Thresholds(msgspec.Struct, frozen=True):
    """Scores above which a payment is reviewed or declined; None: the score's own threshold, and never."""

    review: float | None = None
    decline: float | None = None


class Policy:
    """Decides by a policy file. Thresholds come with each score's model, since shares mean other scores for each."""

    def __init__(self, file: PolicyFile) -> None:
        self.file = file
        self.digest = digest_of(file)
        self._rules = [(rule, _compiled(rule)) for rule in file.rules]

    @classmethod
    def read(cls, path: Path) -> "Policy":
        """The policy in a YAML file. Raises `PolicyError`."""
        try:
            if not path.is_file():  # a pipe would be waited for
                raise PolicyError(f"the policy {path} is not there, or no file")
            found = plain(path.read_text())
            return cls(msgspec.convert({} if found is None else found, PolicyFile))
        except (OSError, ValueError, RecursionError) as error:
            raise PolicyError(f"the policy {path} can't be used: {' '.join(str(error).split())}") from error

    def decide(self, score: Score, thresholds: Thresholds, now: datetime) -> Decided:
        """What to do with a payment that was judged."""
        facts = facts_of(score) if self._rules else {}
        matching = [rule for rule, condition in self._rules if _matches(rule, condition, facts)]
        decided = self._listed(score, now) or _strictest([rule for rule in matching if not rule.shadow])
        if decided is None:
            decided = _by_score(score, thresholds)
        if self.file.shadow and decided.decision != "approve":
            decided = Decided("approve", "shadow", decided.reason, decided.decision)
        elif decided.decision == "decline" and draw(score.transaction_id) < self.file.released:
            decided = Decided("approve", decided.decided_by, decided.reason, "decline", released=True)
        shadow_rules = tuple(rule.name for rule in matching if rule.shadow)
        return msgspec.structs.replace(decided, shadow_rules=shadow_rules) if shadow_rules else decided

    def fallback(self, why: str) -> Decided:
        """What to do with a payment that was not judged in time."""
        return Decided(self.file.fallback, "fallback", why)

    def _listed(self, score: Score, now: datetime) -> Decided | None:
        for listed in self.file.lists:
            if (listed.until is None or now < listed.until) and getattr(score, listed.field) in listed.values:
                verdict: Verdict = "approve" if listed.then == "always" else "decline"
                return Decided(verdict, f"list of {listed.field}", listed.reason)
        return None


def _strictest(rules: Sequence[Rule]) -> Decided | None:
    rule = max(rules, key=lambda rule: _ORDER[rule.then], default=None)
    return None if rule is None else Decided(rule.then, f"rule {rule.name}", rule.reason)


def draw(transaction_id: str) -> float:
    """A number in [0, 1) that depends on the transaction alone, so that each replica and each repetition says the same."""
    return xxhash.xxh3_64_intdigest(transaction_id.encode(), _RELEASE_SEED) / 2**64


def _by_score(score: Score, thresholds: Thresholds) -> Decided:
    if thresholds.decline is not None and score.anomaly_score > thresholds.decline:
        return Decided("decline", "model")
    above = score.is_anomaly if thresholds.review is None else score.anomaly_score > thresholds.review
    return Decided("review" if above else "approve", "model")


_TYPES: Final = {
    **dict.fromkeys(TRANSACTION_FIELDS, rule_engine.DataType.STRING),
    "event_time": rule_engine.DataType.DATETIME,
    **dict.fromkeys(("amount", "latitude", "longitude"), rule_engine.DataType.FLOAT),
    **dict.fromkeys(("late", "key_mismatch", "order_undefined", "is_anomaly"), rule_engine.DataType.BOOLEAN),
    **dict.fromkeys(("anomaly_score", "threshold", *FEATURES), rule_engine.DataType.FLOAT),
}
"""What a rule may speak of."""

_context: Final = rule_engine.Context(type_resolver=rule_engine.type_resolver_from_dict(_TYPES), default_timezone="utc")


def _compiled(rule: Rule) -> rule_engine.Rule:
    try:
        return rule_engine.Rule(rule.when, context=_context)
    except rule_engine.SymbolResolutionError as error:
        raise PolicyError(
            f"the rule {rule.name} speaks of {error.symbol_name}, but a rule may speak of {', '.join(_TYPES)}"
        ) from error
    except (rule_engine.EngineError, ArithmeticError) as error:
        why = error.message if isinstance(error, rule_engine.EngineError) else type(error).__name__
        raise PolicyError(f"the condition of the rule {rule.name} can't be used ({why}): {rule.when}") from error


def facts_of(score: Score) -> dict[str, Any]:
    """What rules see of a transaction: its fields, its judgement, and its features by name."""
    fields = {name: getattr(score, name) for name in _SEEN}
    return fields | dict(zip(FEATURES, score.features, strict=True))


_SEEN: Final = [name for name in _TYPES if name not in FEATURES]


def _matches(rule: Rule, condition: rule_engine.Rule, facts: dict[str, Any]) -> bool:
    """Whether a rule matches. Where a field that it compares is null, or what it computes has no value, it does not."""
    try:
        return bool(condition.matches(facts))
    except (rule_engine.EngineError, ArithmeticError) as error:  # the latter for a day after the year 9999 too
        _log.debug("the rule %s does not match: %s", rule.name, error)
        return False
