"""What keeps whole topics from being read is one error."""

from pathlib import Path

import pytest

from messaging import reader
from messaging.config import KafkaConfig
from messaging.errors import ReadError
from messaging.reader import Reader


def test_a_broker_that_does_not_answer_is_one_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "ANSWER_SECONDS", 0.5)
    with pytest.raises(ReadError, match=r"Kafka at 127\.0\.0\.1:1 does not answer: nothing listens"):
        Reader(KafkaConfig("127.0.0.1:1"), "scores")


def test_a_certificate_that_is_none_is_one_error(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("no certificate")
    kafka = KafkaConfig("127.0.0.1:1", "SSL", ssl_ca=tmp_path / "ca.pem")
    with pytest.raises(ReadError, match=r"Kafka's client refuses its settings: .*; see the KAFKA_ settings"):
        Reader(kafka, "scores")
