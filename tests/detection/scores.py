"""Scores read strictly: just the fields of `ml.schema.Score`, and those that may be left out only where they may."""

from typing import Any, Final

import msgspec

from ml.features import FEATURE_SET, FOLD_VERSION
from ml.schema import SCORE_SCHEMA, Score

FORM: Final[dict[str, Any]] = {
    "schema_version": SCORE_SCHEMA,
    "order_undefined": False,
    "model_digest": "",
    "threshold_version": 0,
    "feature_set": FEATURE_SET,
    "fold_version": FOLD_VERSION,
    "lane": "spark",
    "profile_version": 0,
}
"""What a test that makes a `Score` of its own seldom looks at."""

_OF_ANOMALIES: Final = {"reasons", "named_features"}
_WHERE_THERE_IS_ONE: Final = {
    *("challenger", "champion", "profile_features", "profile_set", "profile_ahead"),
    *("currency_version", "currency_unknown"),
    *("extras", "refused_extras"),
}
_fields: Final = set(Score.__struct_fields__)
_decode: Final = msgspec.json.Decoder(Score).decode


def exact(value: bytes) -> Score:
    """A score of this release. Fails at a field that is unknown, missing, or where it does not belong."""
    plain: dict[str, Any] = msgspec.json.decode(value)
    required = _fields - _WHERE_THERE_IS_ONE - (set() if plain["is_anomaly"] else _OF_ANOMALIES)
    assert required <= plain.keys() <= required | _WHERE_THERE_IS_ONE, plain.keys() ^ required
    return _decode(value)
