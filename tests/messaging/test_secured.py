"""Every client against a real broker that talks TLS and asks for a login; and each way in which that can fail, in one line."""

import logging
import socket
import ssl
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import pytest
import trustme
from confluent_kafka import KafkaException
from pydantic import SecretStr

import generator.__main__ as generator_commands
import ml.__main__ as ml_commands
from generator import producer
from generator.producer import KafkaUnreachable, Outbox
from jobs.preflight import check_kafka
from jobs.runtime.errors import Fatal
from messaging import reader
from messaging.config import KafkaConfig
from messaging.errors import ReadError
from messaging.reader import Reader
from messaging.topics import create_topics
from messaging.unreachable import why_unreachable
from notifications.kept import Kept
from notifications.notifier import Notifier
from notifications.policy_file import PolicyOnDisk
from notifications.records import Records
from page.feed.topics import in_words, topic_ids
from serving.errors import ServiceError
from serving.log import Log
from settings import Settings
from stack.kafka import Kafka
from stack.security import Security
from stack.server import HOST
from versions.compacted_topic import publish
from versions.thresholds import newest_table

SECRET = "marked-Secret-7"  # pragma: allowlist secret


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kafka]:
    folder = tmp_path_factory.mktemp("secured")
    server = Kafka(folder / "kafka", security=Security(folder / "security"))
    server.start()
    yield server
    server.stop()


def settings_of(config: KafkaConfig) -> Settings:
    return Settings(
        kafka_bootstrap_servers=config.servers,
        kafka_security_protocol=config.security_protocol,
        kafka_sasl_mechanism=config.sasl_mechanism,
        kafka_sasl_username=config.sasl_username,
        kafka_sasl_password=SecretStr(str(config.sasl_password)),
        kafka_ssl_ca=config.ssl_ca,
    )


def test_every_client_writes_and_reads(broker: Kafka) -> None:
    settings = settings_of(broker.config)
    create_topics(settings)
    check_kafka(settings, settings.transactions_topic)
    outbox = Outbox(broker.config, [settings.transactions_topic], 5)
    outbox.put(settings.transactions_topic, b"c1", b"hello", 1, {})
    outbox.close()
    with Reader(broker.config, settings.transactions_topic) as reader:
        assert [message.value() for message in reader.read_all()] == [b"hello"]
    assert sum(Log.look(broker.config, settings.transactions_topic).end.values()) == 1
    publish(settings.thresholds_topic, broker.config, "scoreline", b"no table")
    assert newest_table(settings.thresholds_topic, broker.config) is None
    assert why_unreachable(broker.config) == ""


def test_no_secret_is_where_others_can_see_it(broker: Kafka) -> None:
    assert broker.pid is not None
    password = str(broker.config.sasl_password)
    assert not any(password in word for word in psutil.Process(broker.pid).cmdline())
    folder = broker.folder.parent
    holding = [path for path in folder.rglob("*") if path.is_file() and password.encode() in path.read_bytes()]
    assert {path.name for path in holding} >= {"server.properties", "password", "users"}
    assert {oct(path.stat().st_mode)[-3:] for path in holding} == {"600"}


@contextmanager
def tls_server(certificate: trustme.LeafCert) -> Iterator[str]:
    """Shows a certificate to whoever connects."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    with socket.create_server((HOST, 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                try:
                    context.wrap_socket(connection, server_side=True).close()
                except OSError:
                    connection.close()

        threading.Thread(target=serve, daemon=True).start()
        yield f"{HOST}:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)


@pytest.fixture(scope="module")
def troubles(broker: Kafka, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, tuple[KafkaConfig, str]]]:
    """What can be wrong → settings with which it is, and the setting or remedy that the line has to name."""
    folder = tmp_path_factory.mktemp("authorities")
    own, foreign = trustme.CA(), trustme.CA()
    for name, authority in (("own", own), ("foreign", foreign)):
        authority.cert_pem.write_to_path(str(folder / f"{name}.pem"))
    (folder / "none.pem").write_text("no certificate")
    right = replace(broker.config, ssl_ca=folder / "own.pem")
    past = datetime.now(UTC) - timedelta(days=1)
    with (
        tls_server(own.issue_cert(HOST, not_after=past)) as expired,
        tls_server(own.issue_cert("elsewhere.example")) as renamed,
        socket.create_server((HOST, 0)) as silent,
    ):
        yield {
            "password": (replace(broker.config, sasl_password=SECRET), "KAFKA_SASL_PASSWORD"),
            "user": (replace(broker.config, sasl_username="nobody"), "KAFKA_SASL_USERNAME"),
            "mechanism": (replace(broker.config, sasl_mechanism="PLAIN"), "KAFKA_SASL_MECHANISM"),
            "authority": (replace(broker.config, ssl_ca=folder / "foreign.pem"), "KAFKA_SSL_CA to the PEM file"),
            "no authority": (replace(broker.config, ssl_ca=None), "KAFKA_SSL_CA to the PEM file"),
            "no PEM": (replace(broker.config, ssl_ca=folder / "none.pem"), "KAFKA_SSL_CA has to be a PEM file"),
            "expired": (replace(right, servers=expired), "has expired"),
            "name": (
                replace(right, servers=renamed),
                "is for another name; name the broker in KAFKA_BOOTSTRAP_SERVERS",
            ),
            "plaintext": (KafkaConfig(broker.config.servers), "KAFKA_SECURITY_PROTOCOL=PLAINTEXT"),
            "nobody": (replace(right, servers="127.0.0.1:9"), "nothing listens at 127.0.0.1:9"),
            "no name": (
                replace(right, servers="nowhere.invalid:9092"),
                "no machine is known by the name nowhere.invalid",
            ),
            "silent": (KafkaConfig(f"{HOST}:{silent.getsockname()[1]}"), "does not answer as a broker"),
        }


TROUBLES = (
    *("password", "user", "mechanism", "authority", "no authority", "no PEM", "expired", "name", "plaintext", "nobody"),
    *("no name", "silent"),
)


@pytest.mark.parametrize("trouble", TROUBLES)
def test_what_is_wrong_is_one_line_that_names_the_setting(
    trouble: str, troubles: dict[str, tuple[KafkaConfig, str]]
) -> None:
    config, named = troubles[trouble]
    said = why_unreachable(config)
    assert named in said
    assert "\n" not in said
    assert SECRET not in said


@pytest.mark.parametrize("trouble", ["password", "authority", "expired", "name"])
def test_each_program_says_it(trouble: str, troubles: dict[str, tuple[KafkaConfig, str]]) -> None:
    config, named = troubles[trouble]
    with pytest.raises(Fatal) as fatal:
        check_kafka(settings_of(config))
    with pytest.raises(KafkaUnreachable) as sending:
        Outbox(config, ["transactions"], 5)
    with pytest.raises(ReadError) as reading:
        Reader(config, "transactions")
    with pytest.raises(ServiceError) as serving:
        Log.look(config, "transactions")
    for raised in (fatal, sending, reading, serving):
        assert named in str(raised.value)
        assert SECRET not in str(raised.value)


COMMANDS: dict[str, tuple[Callable[[], None], str]] = {
    "send": (generator_commands.main, "send --rate 0 --count 1 --customers 1000"),
    "replay": (generator_commands.main, "replay {folder}/one.csv --format {folder}/mapping.yaml --speed max"),
    "pull": (generator_commands.main, "pull http://127.0.0.1:9/payments --mapping {folder}/mapping.yaml --once"),
    "evaluate": (ml_commands.main, "evaluate {folder} --scores scores"),
}
MAPPING = "name: desk\nevent_time: when\ntransaction_id: id\ncustomer_id: who\namount: amount\n"


@pytest.mark.long  # a login that is refused is known only when a client has tried for some seconds
@pytest.mark.parametrize("trouble", ["password", "authority", "expired"])
@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_ends_with_one_line(
    command: str,
    trouble: str,
    troubles: dict[str, tuple[KafkaConfig, str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    config, named = troubles[trouble]
    (tmp_path / "mapping.yaml").write_text(MAPPING)
    (tmp_path / "one.csv").write_text("when,id,who,amount\n2026-03-01T10:00:00Z,1,c,5\n")
    for name, value in settings_of(config).environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(producer, "CONNECT_SECONDS", 3.0)
    monkeypatch.setattr(reader, "ANSWER_SECONDS", 3.0)
    main, line = COMMANDS[command]
    monkeypatch.setattr(sys, "argv", ["scoreline", *line.format(folder=tmp_path).split()])
    with pytest.raises(SystemExit) as left:
        main()
    printed = capsys.readouterr()
    said = (left.value.code if isinstance(left.value.code, str) else "") + printed.err
    assert left.value.code not in (0, None)
    assert len(said.strip().splitlines()) == 1
    assert said.startswith("error: ")
    assert named in said
    assert SECRET not in said + printed.out


@pytest.mark.long
@pytest.mark.parametrize("trouble", ["password", "authority", "expired"])
def test_notifier_and_page_say_it_and_go_on(
    trouble: str, troubles: dict[str, tuple[KafkaConfig, str]], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config, named = troubles[trouble]
    (tmp_path / "policy.yaml").write_text(
        "channels: {desk: {url: 'json://127.0.0.1:9/x'}}\nroutes: [{name: all, match: 'true', channels: [desk]}]\n"
    )
    records, kept = Records(config, ("alerts",), "events"), Kept(tmp_path / "state")
    with caplog.at_level(logging.WARNING):
        Notifier(PolicyOnDisk(tmp_path / "policy.yaml"), records, kept).run(lambda: not caplog.messages)
    records.close()
    kept.close()
    with pytest.raises((KafkaException, TimeoutError)) as raised:
        topic_ids(config, ["alerts"])
    for said in (caplog.messages[0], in_words(raised.value, config)):
        assert said.startswith("Kafka does not answer: ")
        assert named in said
        assert "\n" not in said
        assert SECRET not in said
