"""`python -m generator`, as a person uses it."""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from settings import Settings
from tests.support.kafka import read_topic


def start(*arguments: str | Path, **variables: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "generator", *map(str, arguments)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))} | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(*arguments: str | Path, **variables: str) -> tuple[int, str, str]:
    process = start(*arguments, **variables)
    out, err = process.communicate(timeout=120)
    return process.returncode, out, err


def test_a_history_is_written_and_live_traffic_continues_it(topics: Settings, tmp_path: Path) -> None:
    folder = tmp_path / "history"
    wanted = ("--customers", "1500", "--days", "2", "--seed", "4", "--live-start", "2026-05-01T12:00:00Z")
    code, out, err = run("history", *wanted, "--out", folder)
    assert (code, err) == (0, "")
    rows = pq.read_metadata(folder / "transactions.parquet").num_rows
    assert out.startswith(f"{rows:,} transactions of 1,500 customers in 2 days until 2026-05-01T12:00:00+00:00")

    code, out, err = run("send", "--history", folder, "--count", "500", "--rate", "0", "--json", **topics.environment())
    assert (code, err) == (0, "")
    report = json.loads(out.splitlines()[-1])
    assert report["sent"] == 500
    assert "2026-05-01T12:00:00" <= report["first_event_time"] < "2026-05-01T12:10"
    assert len(read_topic(topics.kafka_bootstrap_servers, topics.transactions_topic)) == 500

    code, out, err = run(
        "send", "--history", folder, "--count", "100", "--start", report["next_start"], "--json", **topics.environment()
    )
    assert (code, err) == (0, "")
    second = json.loads(out.splitlines()[-1])
    assert second["first_event_time"] >= report["next_start"]

    code, out, err = run(
        "send", "--history", folder, "--count", "50", "--rate", "0", "--resume", "--json", **topics.environment()
    )
    assert (code, err) == (0, "")
    third = json.loads(out.splitlines()[-1])
    assert third["first_event_time"] >= second["next_start"]
    assert third["labels_under_way"] + third["labels_sent"] >= report["labels_under_way"] > 0
    ids = [
        json.loads(r.value)["transaction_id"]
        for r in read_topic(topics.kafka_bootstrap_servers, topics.transactions_topic)
    ]
    assert len(set(ids)) == 650


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_with_a_summary(topics: Settings, number: signal.Signals) -> None:
    process = start("send", "--customers", "1000", "--rate", "300", "--json", **topics.environment())
    assert process.stdout is not None
    assert "a second; simulated time" in process.stdout.readline()
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")
    report = json.loads(out.splitlines()[-1])
    assert report["sent"] == len(read_topic(topics.kafka_bootstrap_servers, topics.transactions_topic)) > 1_000


def test_without_kafka_it_is_one_line_that_names_the_address() -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{nobody.getsockname()[1]}"
        code, out, err = run("send", "--count", "1", KAFKA_BOOTSTRAP_SERVERS=address)
    assert (code, out) == (1, "")
    assert err.startswith(f"error: no Kafka broker answers at {address}: ")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("send", "--history", "nowhere"), "error: nowhere/history.json does not say what a history was made from"),
        (
            ("send", "--start", "tomorrow"),
            "error: --start takes a time in ISO 8601, such as 2026-05-01T00:00:00Z, but is",
        ),
        (
            ("send", "--start", "2026-05-01"),
            "error: --start needs a time zone, but is 2026-05-01: write 2026-05-01T00:00:00Z",
        ),
        (
            ("history", "--out", "x", "--live-start", "2026-05-01T00:30:00Z"),
            "error: --live-start has to be a full hour",
        ),
        (
            ("history", "--out", "x", "--scenario", "calm", "--fraud-share", "0.1"),
            "error: a calm run has no fraud, but fraud_share is 0.1",
        ),
        (("history", "--out", "x", "--only", "robbery"), "error: only names scenarios, which are card_testing, "),
        (
            ("send", "--resume", "--start", "2026-05-01T00:00:00Z"),
            "error: --resume begins where the topic ends, but --start is 2026-05-01T00:00:00Z",
        ),
    ],
)
def test_what_contradicts_itself_is_one_line(arguments: tuple[str, ...], complaint: str, tmp_path: Path) -> None:
    arguments = tuple(str(tmp_path / argument) if argument == "x" else argument for argument in arguments)
    code, out, err = run(*arguments)
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert err.startswith(complaint)


def test_a_seed_that_is_not_the_historys_is_refused(tmp_path: Path) -> None:
    (tmp_path / "history.json").write_text('{"seed": 7, "customers": 10, "live_start": "2026-05-01T00:00:00Z"}')
    code, _, err = run("send", "--history", tmp_path, "--seed", "8")
    assert code == 1
    assert err == f"error: --seed is 8, but the history in {tmp_path} has 7: leave --seed out\n"


SECURE = {"KAFKA_SECURITY_PROTOCOL": "SASL_SSL", "KAFKA_SASL_PASSWORD": "hunter2"}


@pytest.mark.parametrize(
    ("variables", "complaint"),
    [
        (
            {},
            "error: KAFKA_SECURITY_PROTOCOL=SASL_SSL requires a user and a password, but KAFKA_SASL_USERNAME is not set: ",
        ),
        (
            {"KAFKA_SASL_USERNAME": "ann", "KAFKA_SSL_CA": "nobody.pem"},
            "error: KAFKA_SSL_CA has to be a PEM file, but there is no file nobody.pem",
        ),
    ],
)
def test_wrong_kafka_settings_are_one_line_without_the_password(variables: dict[str, str], complaint: str) -> None:
    code, out, err = run("send", "--count", "1", **SECURE, **variables)
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert err.startswith(complaint)
    assert "hunter2" not in err
