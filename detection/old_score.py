"""A score in the form of the releases up to 0.1, and the same in today's form."""

from typing import Any, Literal

import msgspec

from ml.features import FEATURE_SET, FEATURES
from ml.schema import SCORE_SCHEMA, Digest, KafkaTime, Offset, Partition, Reason, Score, Transaction, Version


class OldScore(Transaction, gc=False, kw_only=True):
    """Without `schema_version`; the features by name, nothing of lanes."""

    partition: Partition
    offset: Offset
    kafka_time: KafkaTime
    late: bool
    key_mismatch: bool
    micro_batch: int
    features: dict[str, float]
    anomaly_score: float
    threshold: float
    is_anomaly: bool
    model_name: str
    model_version: Version
    scored_at: int
    schema_version: Literal[1] = 1
    threshold_version: Version = 0
    model_digest: Digest = ""
    order_undefined: bool = False
    fold_version: Version = 1
    reasons: list[Reason] = msgspec.field(default_factory=list)

    def as_score(self) -> Score:
        """The same in today's form; a record with other features has a feature set without a name."""
        fields: dict[str, Any] = msgspec.structs.asdict(self)
        known = self.features.keys() == set(FEATURES)  # in any order, as in any JSON object
        names = FEATURES if known else tuple(self.features)
        fields |= {
            "schema_version": SCORE_SCHEMA,
            "features": [self.features[name] for name in names],
            "feature_set": FEATURE_SET if known else "",
            "named_features": self.features if self.is_anomaly else None,
            "lane": "spark",
            "profile_version": 0,
        }
        return Score(**fields)
