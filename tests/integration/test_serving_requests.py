"""The service as a process under any request: examples that work, bodies that are noise, clients that are slow."""

import contextlib
import hashlib
import json
import re
import socket
import time
from pathlib import Path
from typing import Any

import hypothesis
import jsonschema
import pytest
from hypothesis import strategies as st

from ml.schema import TRANSACTION_FIELDS
from serving.description import EXAMPLES, SPARKOV
from serving.sent_alerts import PLACE_HEADER
from settings import Settings
from tests.integration.service import ROOT, Response, Service
from tests.integration.test_serving import payments
from tests.support.kafka import read_topic

PROBLEM = "application/problem+json"
VALID: dict[str, Any] = EXAMPLES["predict"]["all"]["value"]

texts = st.text(max_size=20) | st.sampled_from(["NaN", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00+23:59", "\x00"])
numbers = st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from([10**400, -0.0, 2**63])
values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
"""What JSON can be."""


def encoded(value: Any) -> bytes:
    return json.dumps(value).encode()  # a lone surrogate is an escape then, which is JSON and no text


bodies = st.one_of(
    st.binary(max_size=200),
    values.map(encoded),
    st.lists(values, max_size=3).map(encoded),
    st.tuples(st.integers(0, len(encoded(VALID))), st.binary(max_size=4)).map(
        lambda cut: encoded(VALID)[: cut[0]] + cut[1] + encoded(VALID)[cut[0] :]
    ),
    st.sampled_from([b'{"transaction_id":"\\ud800"}', b"\xef\xbb\xbf{}", b"[" * 70_000, b'{"a":' * 70_000, b"1e999"]),
)
routes = st.sampled_from(
    ["/transactions", "/predict", "/predict?mapping=sparkov", "/predict?mapping=../x", "/transactions?timeout_ms=nan"]
)


def check(found: Response) -> None:
    """An answer or a refusal in words, and no error of ours."""
    assert found.status < 500 or found.status == 503, found
    if found.status != 200:
        assert found.headers["content-type"] == PROBLEM
        assert found.body["status"] == found.status
        assert found.body["detail"]
    assert "Traceback" not in json.dumps(found.body)


def test_each_example_of_the_description_is_answered_as_the_description_says(
    settings: Settings, tmp_path: Path
) -> None:
    with Service(settings, tmp_path / "one").wait_until_ready() as service:
        described = service.get("/openapi.json").body
        for path, methods in described["paths"].items():
            for method, operation in methods.items():
                if method == "get" and "{" not in path:
                    assert service.get(path).status == 200, path
                for name, example in EXAMPLES.get(operation["operationId"], {}).items():
                    found = service.post(path + example.get("x-query", ""), example["value"])
                    assert found.status == 200, (name, found)
                    form = operation["responses"]["200"]["content"]["application/json"]["schema"]
                    schema = {**form, "components": described["components"]}
                    jsonschema.Draft202012Validator(schema).validate(found.body)
        page = service.get("/docs")
    assert page.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in page.headers["content-security-policy"]


def test_whatever_the_body_the_answer_is_a_judgement_or_a_refusal_in_words(settings: Settings, tmp_path: Path) -> None:
    with Service(settings, tmp_path / "one").wait_until_ready() as service:

        @hypothesis.settings(max_examples=300, database=None)
        @hypothesis.given(routes, bodies)
        def noise(route: str, body: bytes) -> None:
            check(service.post(route, body))

        @hypothesis.settings(max_examples=150, database=None)
        @hypothesis.given(st.sampled_from(TRANSACTION_FIELDS), values)
        def one_field(name: str, value: Any) -> None:
            found = service.post("/predict", VALID | {"transaction_id": "never sent"} | {name: value})
            check(found)
            if found.status != 200:
                assert found.body["field"] == name, found

        noise()
        one_field()
        for path in ("/", "/transactions/", "/%00", "/../etc/passwd", "/docs/x"):
            check(service.get(path))
        check(service.get("/predict"))
        check(service.post("/health", b""))
        assert service.get("/health").status == 200
        assert "Traceback" not in service.output.read_text()


def raw(service: Service, content: bytes) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", service.port), timeout=30)
    connection.sendall(content)
    return connection


def never_reads(service: Service, content: bytes) -> socket.socket:
    """A client that sends what is taken of it at once, and reads nothing; there is little room for answers."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    connection.connect(("127.0.0.1", service.port))
    connection.settimeout(1)
    with contextlib.suppress(TimeoutError):
        connection.sendall(content)
    return connection


def request(body: bytes, length: int | None = None) -> bytes:
    head = f"POST /transactions HTTP/1.1\r\nhost: x\r\ncontent-length: {length or len(body)}\r\n\r\n"
    return head.encode() + body


def test_what_is_no_http_is_refused_in_the_form_of_all_refusals(settings: Settings, tmp_path: Path) -> None:
    with Service(settings, tmp_path / "one").wait_until_ready() as service:
        with raw(service, b"\x16\x03\x01 not http\r\n\r\n") as connection:
            found = connection.makefile("rb").read()
        assert found.startswith(b"HTTP/1.1 400 ")
        assert PROBLEM.encode() in found
        assert service.get("/ready").status == 200


def test_clients_that_send_slowly_or_never_read_do_not_hold_the_others_up(settings: Settings, tmp_path: Path) -> None:
    batch = json.dumps([VALID | {"transaction_id": f"s{number}"} for number in range(1_000)]).encode()
    with Service(settings, tmp_path / "one").wait_until_ready() as service:
        slow = [raw(service, request(b"{", 1_000)) for _ in range(100)]
        deaf = [never_reads(service, request(batch) * 5) for _ in range(3)]
        began = time.monotonic()
        waited = []
        for number in range(60):
            asked = time.monotonic()
            assert service.post("/predict", VALID | {"transaction_id": f"p{number}"}).status == 200
            waited.append(time.monotonic() - asked)
            for connection in slow[: 50 if number % 15 == 0 else 0]:
                connection.sendall(b" ")
            time.sleep(0.05)
        assert sorted(waited)[len(waited) // 2] < 0.5
        refused = slow[-1].makefile("rb").read()
        assert refused.startswith(b"HTTP/1.1 408 ")
        assert PROBLEM.encode() in refused
        assert 5 < time.monotonic() - began < 60
        for connection in (*slow, *deaf):
            connection.close()
        assert service.post("/transactions", VALID | {"transaction_id": "after"}).status == 200


def test_a_question_by_the_columns_of_a_data_set_is_the_question_by_the_fields(
    settings: Settings, tmp_path: Path
) -> None:
    same = {
        "transaction_id": SPARKOV["trans_num"],
        "event_time": "2026-05-28T12:00:00Z",
        "customer_id": "2703186189652095",
        "amount": 4.97,
        "currency": "USD",
        "merchant_id": "fraud_Rippin, Kub and Mann",
        "merchant_category": "misc_net",
        "country": "US",
        "latitude": 36.011293,
        "longitude": -82.048315,
        "channel": "online",
    }
    with Service(settings, tmp_path / "one").wait_until_ready() as service:
        by_fields = service.post("/predict", same).body
        by_columns = service.post("/predict?mapping=sparkov", SPARKOV).body
        lacking = service.post("/predict?mapping=sparkov", SPARKOV | {"amt": "much"})
        unknown = service.post("/predict?mapping=/etc/passwd", SPARKOV)
    assert by_columns | {"elapsed_ms": 0} == by_fields | {"elapsed_ms": 0}
    assert (lacking.status, lacking.body["field"]) == (422, "amt")
    assert (unknown.status, unknown.body["field"]) == (422, "mapping")


def test_a_trace_context_is_on_the_record_on_its_early_alert_and_in_the_log(settings: Settings, tmp_path: Path) -> None:
    traces = {}
    with Service(settings, tmp_path / "one").wait_until_ready() as service:
        for number, payment in enumerate(payments(150)):
            trace = f"00-{number + 1:032x}-{number + 1:016x}-01"
            found = service.post("/transactions", payment, {"traceparent": trace}).body
            if found["is_anomaly"]:
                traces[f"{found['partition']}/{found['offset']}".encode()] = trace.encode()
        fallen_back = service.post("/transactions?timeout_ms=1", payments(151)[150], {"traceparent": "no trace"}).body
        assert "degraded" in fallen_back or "anomaly_score" in fallen_back
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and len(alerts(settings)) < len(traces):
            time.sleep(0.2)
        assert service.stop() == 0
    assert traces
    assert {headers[b"place"]: headers[b"trace"] for headers in alerts(settings)} == traces
    records = read_topic(settings.kafka_bootstrap_servers, settings.transactions_topic)
    assert sum("traceparent" in dict(record.headers) for record in records) == 150
    log = service.output.read_text() + "".join(path.read_text() for path in (tmp_path / "one" / "logs").glob("*"))
    assert all(trace.decode() in log for trace in traces.values())


def alerts(settings: Settings) -> list[dict[bytes, bytes]]:
    """Place and trace of the early alerts that were sent."""
    found = read_topic(settings.kafka_bootstrap_servers, settings.early_alerts_topic)
    named = [dict(record.headers) for record in found]
    return [{b"place": each[PLACE_HEADER], b"trace": each["traceparent"]} for each in named]


def test_a_customer_is_shown_to_who_has_a_key_and_to_nobody_where_there_are_none(
    settings: Settings, tmp_path: Path
) -> None:
    keys = tmp_path / "keys.yaml"
    keys.write_text(f"till: {{sha256: {hashlib.sha256(b'secret').hexdigest()}}}\n")
    key = {"authorization": "Bearer secret"}
    with Service(settings, tmp_path / "one", "--serve-keys", str(keys)).wait_until_ready() as service:
        assert service.post("/transactions", VALID, key).status == 200
        path = f"/customers/{VALID['customer_id']}"
        assert service.get(path).status == 401
        seen = service.get(path, key)
        assert (seen.status, seen.body["transactions"], seen.body["mean_amount"]) == (200, 1, VALID["amount"])
        assert service.get("/customers/nobody", key).status == 404
    with Service(settings, tmp_path / "two").wait_until_ready() as service:
        check(off := service.get(path))
        assert off.status == 404


def test_the_documents_way_to_ask_gets_a_decision_and_the_usual_one_where_nobody_answers(
    settings: Settings, tmp_path: Path
) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "serving.md").read_text(), re.DOTALL)
    names: dict[str, Any] = {}
    exec(code.replace("timeout_ms=100", "timeout_ms=20000").replace("timeout=0.25", "timeout=30"), names)
    with Service(settings, tmp_path / "one").wait_until_ready() as service:
        names["SERVICE"] = f"http://127.0.0.1:{service.port}"
        assert names["decide"](VALID, "none") in ("approve", "review")
        with pytest.raises(ValueError, match="amount"):
            names["decide"](VALID | {"amount": -1})
        service.kill()
        assert names["decide"](VALID, "none") == "none"
