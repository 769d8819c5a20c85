"""Peer: one Python process with kafka-python, a dict of customers, and scikit-learn asked once per poll."""

import json
import signal
from typing import Any

from common import Arguments, Model, point
from features import Customer
from kafka import KafkaConsumer, KafkaProducer
from kafka.consumer.fetcher import ConsumerRecord

MAX_RECORDS = 5000
"""Per poll. It spreads the fixed cost of asking scikit-learn: 3.8 µs a row, where kafka-python's default of 500 gives 15."""


class Detector:
    """Transactions → scores. The customers live in this process and nowhere else."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._customers: dict[str, Customer] = {}

    def scores(self, records: list[ConsumerRecord]) -> list[dict[str, Any]]:
        """The scores of a poll's records, in their order; a duplicate has none."""
        accepted = []
        for record in records:
            transaction = json.loads(record.value)
            features = self._customer(transaction["customer_id"]).add(transaction)
            if features is not None:
                place = {"partition": record.partition, "offset": record.offset, "kafka_time": record.timestamp}
                accepted.append((transaction | place, features))
        if not accepted:
            return []
        return [
            scored
            | {
                "features": dict(zip(self._model.features, features, strict=True)),
                "anomaly_score": anomaly_score,
                "threshold": self._model.threshold,
                "is_anomaly": anomaly_score > self._model.threshold,
            }
            for (scored, features), anomaly_score in zip(
                accepted, self._model.anomaly_scores([features for _, features in accepted]).tolist(), strict=True
            )
        ]

    def _customer(self, customer_id: str) -> Customer:
        customer = self._customers.get(customer_id)
        if customer is None:
            customer = self._customers[customer_id] = Customer()
        return customer


def main() -> None:
    arguments = Arguments.from_command_line(__doc__)
    detector = Detector(Model.load(arguments.model))
    stopping: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda received, _: stopping.append(received))
    with (
        KafkaConsumer(
            arguments.transactions,
            bootstrap_servers=arguments.bootstrap_servers,
            auto_offset_reset="earliest",
            enable_auto_commit=False,  # the customers die with the process, so a start is always from the beginning
        ) as consumer,
        KafkaProducer(bootstrap_servers=arguments.bootstrap_servers, linger_ms=5, compression_type="lz4") as producer,
        arguments.influxdb() as influxdb,
        influxdb.write_api() as points,
    ):
        while not stopping:
            polled = consumer.poll(timeout_ms=100, max_records=MAX_RECORDS)
            for score in detector.scores([record for records in polled.values() for record in records]):
                key, value = score["customer_id"].encode(), json.dumps(score).encode()
                producer.send(arguments.scores, key=key, value=value)
                if score["is_anomaly"]:
                    producer.send(arguments.alerts, key=key, value=value)
                points.write(arguments.influxdb_bucket, record=point(score))


if __name__ == "__main__":
    main()
