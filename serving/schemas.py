"""JSON Schema of every record, and the topics as AsyncAPI: `python -m serving.schemas` writes both into docs/schemas."""

import json
import sys
from inspect import cleandoc
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec
import yaml

from ml.schema import Event, Label, Score, Transaction
from ml.thresholds.table import Table
from serving.answers import Answer, Prediction, Refused
from serving.customers import CustomerState
from serving.intake import REQUEST_HEADER, TRACE_HEADER
from serving.sent_alerts import PLACE_HEADER
from serving.stamp import STAMP_HEADER
from settings import Settings
from versions.profiles import Announcement

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
RECORDS: Final[dict[str, type[msgspec.Struct]]] = {
    "transaction": Transaction,
    "score": Score,
    "label": Label,
    "event": Event,
    "threshold-table": Table,
    "profile-announcement": Announcement,
    "answer": Answer,
    "prediction": Prediction,
    "problem": Refused,
    "customer-state": CustomerState,
}
"""By file name: what travels on the topics, and what the service answers."""


class _Topic(NamedTuple):
    """What a topic holds. record: of RECORDS; None where values are whatever came. by: who writes it."""

    setting: str
    record: str | None
    key: str
    by: str
    words: str
    headers: dict[str, str] = {}  # noqa: RUF012


_TOPICS: Final = (
    _Topic(
        "transactions",
        "transaction",
        "customer_id",
        "producers",
        "Payments as they come. The partitioner is Murmur2, as the Java client's.",
        {
            TRACE_HEADER: "W3C trace context of the payment; passed on to its early alert",
            REQUEST_HEADER: "16 bytes, of the service's own: which request waits for the record",
            STAMP_HEADER: "16 bytes, of the service's own: digests of the versions and of the policy that judge the record",
        },
    ),
    _Topic("scores", "score", "customer_id", "scoreline", "Every transaction with its score, by the Spark job."),
    _Topic("alerts", "score", "customer_id", "scoreline", "The anomalies among the scores, by the Spark job."),
    _Topic(
        "early_alerts",
        "score",
        "customer_id",
        "scoreline",
        "Anomalies as the service finds them, each once.",
        {PLACE_HEADER: "PARTITION/OFFSET of the transaction", TRACE_HEADER: "the transaction's, where it had one"},
    ),
    _Topic("labels", "label", "customer_id", "producers", "What became known of transactions, later."),
    _Topic("truth", "label", "customer_id", "simulators", "What a simulator knows; no detector reads it."),
    _Topic("thresholds", "threshold-table", "the job's name", "scoreline", "Tables of adaptive thresholds; compacted."),
    _Topic("profiles", "profile-announcement", "the job's name", "scoreline", "Names tables of profiles; compacted."),
    _Topic("events", "event", "subject", "scoreline", "What happens to the system: drift, promotions, stalls."),
    _Topic(
        "invalid", None, "as it came", "scoreline", "Messages that are no transaction, with the reason as a header."
    ),
)


def schema(record: type[msgspec.Struct]) -> dict[str, Any]:
    """A record's JSON Schema."""
    made = {"$schema": DIALECT, **msgspec.json.schema(record)}
    for part in made.get("$defs", {}).values():
        part["description"] = cleandoc(part.get("description", ""))  # Python 3.13 does so by itself
    return made


def asyncapi() -> dict[str, Any]:
    """The topics, under the names that they have where no setting says otherwise, as AsyncAPI 3.0."""
    channels: dict[str, Any] = {}
    operations: dict[str, Any] = {}
    for topic in _TOPICS:
        address = Settings.model_fields[f"{topic.setting}_topic"].default
        message: dict[str, Any] = {
            "contentType": "application/json" if topic.record else "application/octet-stream",
            "bindings": {"kafka": {"key": {"type": "string", "description": topic.key}}},
        }
        if topic.record:
            message["payload"] = {"$ref": f"{topic.record}.json"}
        if topic.headers:
            named = {name: {"type": "string", "description": words} for name, words in topic.headers.items()}
            message["headers"] = {"type": "object", "properties": named}
        channels[topic.setting] = {"address": address, "description": topic.words, "messages": {"record": message}}
        action = "receive" if topic.by == "producers" else "send"
        operations[f"{action}_{topic.setting}"] = {
            "action": action,
            "channel": {"$ref": f"#/channels/{topic.setting}"},
        }
    info = {"title": "Scoreline", "version": "1", "description": "What Scoreline reads from Kafka and writes to it."}
    return {
        "asyncapi": "3.0.0",
        "info": info,
        "defaultContentType": "application/json",
        "channels": channels,
        "operations": operations,
    }


def files() -> dict[str, str]:
    """By name: the content of each file in docs/schemas."""
    made = {f"{name}.json": json.dumps(schema(record), indent=2) + "\n" for name, record in RECORDS.items()}
    described = yaml.safe_dump(asyncapi(), sort_keys=False, allow_unicode=True, width=120)
    return made | {"asyncapi.yaml": described}


def main(folder: Path) -> None:
    """Write the files."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files().items():
        (folder / name).write_text(content)


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "docs/schemas"))
