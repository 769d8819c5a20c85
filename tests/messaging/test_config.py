"""One configuration of Kafka in the words of each client; what is missing or wrong is one clear error."""

import itertools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, Producer
from hypothesis import example, given
from hypothesis import strategies as st
from kafka.admin.client import KafkaAdminClient
from kafka.consumer.group import KafkaConsumer
from kafka.net.sasl.scram import ScramClient
from kafka.producer.kafka import KafkaProducer
from pydantic import SecretStr

from messaging.config import ISOLATION_LEVELS, MECHANISMS, PROTOCOLS, KafkaConfig
from messaging.errors import KafkaConfigError
from settings import Settings

PEM = Path(__file__)  # any file that is there
texts = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), min_size=1, max_size=20)
configs = st.builds(
    KafkaConfig,
    servers=st.sampled_from(["localhost:9092", "a:1,b:2", "a:1, b:2"]),
    security_protocol=st.sampled_from(PROTOCOLS),
    sasl_mechanism=st.sampled_from(MECHANISMS),
    sasl_username=texts,
    sasl_password=texts,
    ssl_ca=st.sampled_from([None, PEM]),
    isolation_level=st.sampled_from(ISOLATION_LEVELS),
)


def settings_of(config: KafkaConfig) -> Settings:
    return Settings(
        kafka_bootstrap_servers=config.servers,
        kafka_security_protocol=config.security_protocol,
        kafka_sasl_mechanism=config.sasl_mechanism,
        kafka_sasl_username=config.sasl_username,
        kafka_sasl_password=None if config.sasl_password is None else SecretStr(config.sasl_password),
        kafka_ssl_ca=config.ssl_ca,
        kafka_isolation_level=config.isolation_level,
    )


@given(configs)
def test_what_the_settings_say_is_what_is_configured(config: KafkaConfig) -> None:
    assert KafkaConfig.from_settings(settings_of(config)) == config


def said_to_kafka_python(config: KafkaConfig) -> dict[str, Any]:
    options = config.for_kafka_python_consumer()
    return {
        "protocol": options["security_protocol"],
        "isolation": options["isolation_level"],
        "servers": options["bootstrap_servers"],
        "mechanism": options.get("sasl_mechanism"),
        "username": name_sent(options),
        "password": options.get("sasl_plain_password"),
        "ca": options.get("ssl_cafile"),
    }


def name_sent(options: dict[str, Any]) -> str | None:
    """The user's name as a broker takes it from what kafka-python sends first."""
    name, mechanism = options.get("sasl_plain_username"), options.get("sasl_mechanism")
    if name is None or mechanism == "PLAIN":
        return name
    first = ScramClient(name, options["sasl_plain_password"], mechanism).first_message().decode()
    found = re.fullmatch("n,,n=((?:[^=,]|=2C|=3D)+),r=[^,]+", first, re.DOTALL)  # RFC 5802, 7
    assert found is not None, first
    return found[1].replace("=2C", ",").replace("=3D", "=")


def said_to_confluent(config: KafkaConfig) -> dict[str, Any]:
    options = config.for_confluent_consumer()
    return {
        "protocol": options["security.protocol"],
        "isolation": options["isolation.level"],
        "servers": [server.strip() for server in options["bootstrap.servers"].split(",")],
        "mechanism": options.get("sasl.mechanism"),
        "username": options.get("sasl.username"),
        "password": options.get("sasl.password"),
        "ca": options.get("ssl.ca.location"),
    }


def said_to_java(config: KafkaConfig) -> dict[str, Any]:
    options = config.for_java()
    module, username, password = login(options.get("sasl.jaas.config"))
    mechanism = options.get("sasl.mechanism")
    assert module == {None: None, "PLAIN": "plain.PlainLoginModule"}.get(mechanism, "scram.ScramLoginModule")
    assert options.get("ssl.truststore.type") == ("PEM" if "ssl.truststore.location" in options else None)
    return {
        "protocol": options["security.protocol"],
        "isolation": options["isolation.level"],
        "servers": [server.strip() for server in options["bootstrap.servers"].split(",")],
        "mechanism": mechanism,
        "username": username,
        "password": password,
        "ca": options.get("ssl.truststore.location"),
    }


def login(jaas: str | None) -> tuple[str | None, str | None, str | None]:
    """(module, user, password) as Kafka's JaasConfig takes them from a StreamTokenizer."""
    if jaas is None:
        return None, None, None
    quoted = r'"((?:[^"\\\n\r]|\\.)*)"'  # a quotation ends with its line
    found = re.fullmatch(
        rf"org\.apache\.kafka\.common\.security\.(\S+) required username={quoted} password={quoted};", jaas
    )
    assert found is not None, jaas
    escapes = {"n": "\n", "r": "\r", "t": "\t", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}
    username, password = (
        re.sub(r"\\(.)", lambda escape: escapes.get(escape[1], escape[1]), text) for text in found.groups()[1:]
    )
    return found[1], username, password


@given(configs)
@example(KafkaConfig("a:1", "SASL_SSL", "SCRAM-SHA-512", "ann,r=0,=2C", "=,", PEM))
@example(KafkaConfig("a:1", "SASL_SSL", "PLAIN", 'o"neil', 'C:\\new\\"x";\n\r', PEM))
def test_each_client_is_told_the_same(config: KafkaConfig) -> None:
    expected = {
        "protocol": config.security_protocol,
        "isolation": config.isolation_level,
        "servers": [server.strip() for server in config.servers.split(",")],
        "mechanism": config.sasl_mechanism if config.uses_sasl else None,
        "username": config.sasl_username if config.uses_sasl else None,
        "password": config.sasl_password if config.uses_sasl else None,
        "ca": str(config.ssl_ca) if config.uses_tls and config.ssl_ca else None,
    }
    assert said_to_kafka_python(config) == expected
    assert said_to_confluent(config) == expected
    assert said_to_java(config) == expected
    assert config.for_spark() == {f"kafka.{name}": value for name, value in config.for_java().items()}


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_each_client_knows_all_its_options(protocol: str, mechanism: str) -> None:
    config = KafkaConfig("127.0.0.1:9", protocol, mechanism, "ann", "secret", None)
    Producer(config.for_confluent() | {"log_level": 0})
    Consumer(config.for_confluent_consumer() | {"group.id": "none", "log_level": 0}).close()
    authority = KafkaConfig("127.0.0.1:9", protocol, mechanism, "ann", "secret", PEM)
    assert authority.for_kafka_python().keys() <= KafkaAdminClient.DEFAULT_CONFIG.keys()
    assert authority.for_kafka_python().keys() <= KafkaProducer.DEFAULT_CONFIG.keys()
    assert authority.for_kafka_python_consumer().keys() <= KafkaConsumer.DEFAULT_CONFIG.keys()


@pytest.mark.parametrize("protocol", [name for name in PROTOCOLS if name.startswith("SASL")])
@pytest.mark.parametrize(
    ("username", "password", "lacking"),
    [
        (None, "secret", "KAFKA_SASL_USERNAME is not set"),
        ("", "secret", "KAFKA_SASL_USERNAME is empty"),
        ("ann", None, "KAFKA_SASL_PASSWORD is not set"),
        ("ann", "", "KAFKA_SASL_PASSWORD is empty"),
    ],
)
def test_a_user_or_a_password_that_is_missing_is_named(
    protocol: str, username: str | None, password: str | None, lacking: str
) -> None:
    makers: list[Callable[[], KafkaConfig]] = [
        lambda: KafkaConfig("a:1", protocol, sasl_username=username, sasl_password=password),
        lambda: KafkaConfig.from_settings(
            Settings(
                kafka_security_protocol=protocol,
                kafka_sasl_username=username,
                kafka_sasl_password=None if password is None else SecretStr(password),
            )
        ),
    ]
    for make in makers:
        with pytest.raises(KafkaConfigError) as raised:
            make()
        assert str(raised.value) == (
            f"KAFKA_SECURITY_PROTOCOL={protocol} requires a user and a password, but {lacking}: "
            "set it, or choose PLAINTEXT or SSL"
        )


@pytest.mark.parametrize(
    ("made", "complaint"),
    [
        ({"security_protocol": "TLS"}, "KAFKA_SECURITY_PROTOCOL has to be one of PLAINTEXT, SSL, .*, but it is 'TLS'"),
        ({"isolation_level": "all"}, "KAFKA_ISOLATION_LEVEL has to be one of read_committed, .*, but it is 'all'"),
        (
            {"security_protocol": "SASL_SSL", "sasl_mechanism": "GSSAPI"},
            "KAFKA_SASL_MECHANISM has to be one of PLAIN, .*, but it is 'GSSAPI'",
        ),
        ({"servers": ""}, "KAFKA_BOOTSTRAP_SERVERS has to be one host:port or several with commas, but it is ''"),
        ({"servers": "a:1,,b:2"}, "KAFKA_BOOTSTRAP_SERVERS has to be .*, but it is 'a:1,,b:2'"),
        (
            {"security_protocol": "SSL", "ssl_ca": Path("/nowhere/ca.pem")},
            "KAFKA_SSL_CA has to be a PEM file, but there is no file /nowhere/ca.pem: correct it",
        ),
    ],
)
def test_what_is_wrong_is_said_with_what_is_required(made: dict[str, Any], complaint: str) -> None:
    with pytest.raises(KafkaConfigError, match=complaint):
        KafkaConfig(**({"servers": "a:1"} | made))


@given(configs, st.sampled_from(list(itertools.product([None, "", "ann"], [None, "", "secret"]))))
def test_without_sasl_nobody_asks_for_a_user(config: KafkaConfig, given_as: tuple[str | None, str | None]) -> None:
    if not config.uses_sasl:
        username, password = given_as
        assert (
            said_to_kafka_python(KafkaConfig("a:1", config.security_protocol, "PLAIN", username, password)).items()
            >= {"username": None, "password": None}.items()
        )


@pytest.mark.parametrize("mechanism", MECHANISMS)
@pytest.mark.parametrize(("text", "has"), [("hunter2\0x", "a NUL"), ("hunter2\udcff", "bytes that are not UTF-8")])
def test_a_text_that_a_client_would_cut_or_could_not_send_is_refused_and_not_printed(
    mechanism: str, text: str, has: str
) -> None:
    for username, password, name in [("ann", text, "KAFKA_SASL_PASSWORD"), (text, "secret", "KAFKA_SASL_USERNAME")]:
        with pytest.raises(KafkaConfigError) as raised:
            KafkaConfig("a:1", "SASL_SSL", mechanism, username, password)
        assert str(raised.value) == (
            f"{name} has to be text in UTF-8 without the character NUL, which Kafka's clients can send, but it has {has}: "
            "correct it"
        )
        assert "hunter2" not in repr(raised.value)
    KafkaConfig("a:1", "PLAINTEXT", mechanism, text, text)  # which sends neither


def test_the_password_is_not_printed() -> None:
    assert "hunter2" not in repr(KafkaConfig("a:1", "SASL_SSL", "PLAIN", "ann", "hunter2"))
