"""Peer: Quix Streams, with one state per customer in its RocksDB and each row scored as it comes."""

import uuid
from typing import Any

from common import Arguments, Model, point
from features import Customer
from influxdb_client import InfluxDBClient
from influxdb_client.client.write_api import SYNCHRONOUS
from quixstreams import Application, State, message_context
from quixstreams.sinks import BatchingSink, SinkBatch

POINTS_A_REQUEST = 5000


class InfluxDB(BatchingSink):
    """Scores as points. The library's own sink for InfluxDB 1 cannot give a point nanoseconds, and that for 3 needs a 3."""

    def __init__(self, arguments: Arguments) -> None:
        super().__init__()
        self._arguments = arguments

    def setup(self) -> None:
        self._client: InfluxDBClient = self._arguments.influxdb()

    def write(self, batch: SinkBatch) -> None:
        points = self._client.write_api(write_options=SYNCHRONOUS)
        for items in batch.iter_chunks(n=POINTS_A_REQUEST):
            points.write(self._arguments.influxdb_bucket, record=[point(item.value) for item in items])


def described(
    transaction: dict[str, Any], _key: bytes, kafka_time: int, _headers: Any, state: State
) -> list[dict[str, Any]]:
    """The transaction with its features; nothing for a duplicate."""
    stored = state.get("customer")
    customer = Customer() if stored is None else Customer.from_state(stored)
    features = customer.add(transaction)
    if features is None:
        return []
    state.set("customer", customer.to_state())
    context = message_context()
    place = {"partition": context.partition, "offset": context.offset, "kafka_time": kafka_time}
    return [transaction | place | {"features": features}]


def judge(model: Model):  # type: ignore[no-untyped-def]
    """Adds the anomaly score, and gives the features their names."""

    def judged(row: dict[str, Any]) -> dict[str, Any]:
        (anomaly_score,) = model.anomaly_scores([row["features"]]).tolist()
        return row | {
            "features": dict(zip(model.features, row["features"], strict=True)),
            "anomaly_score": anomaly_score,
            "threshold": model.threshold,
            "is_anomaly": anomaly_score > model.threshold,
        }

    return judged


def main() -> None:
    arguments = Arguments.from_command_line(__doc__)
    app = Application(
        broker_address=arguments.bootstrap_servers,
        consumer_group=f"quix-streams-{uuid.uuid4().hex}",
        auto_offset_reset="earliest",
        state_dir=arguments.checkpoint,
        loglevel="WARNING",
    )
    scores = (
        app.dataframe(app.topic(arguments.transactions, value_deserializer="json"))
        .apply(described, stateful=True, expand=True, metadata=True)
        .apply(judge(Model.load(arguments.model)))
        .to_topic(app.topic(arguments.scores, value_serializer="json"))
    )
    scores[scores["is_anomaly"]].to_topic(app.topic(arguments.alerts, value_serializer="json"))
    scores.sink(InfluxDB(arguments))
    app.run()


if __name__ == "__main__":
    main()
