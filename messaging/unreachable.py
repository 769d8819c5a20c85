"""Why Kafka does not answer: one line that names the setting to look at, whichever client failed."""

import socket
import ssl
import time
from contextlib import suppress
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from messaging.config import KafkaConfig

_CONNECT_SECONDS: Final = 3.0
_ANSWER_SECONDS: Final = 6.0
_EXPIRED, _NOT_YET = 10, 9
_OTHER_NAME: Final = (62, 64)


def why_unreachable(kafka: KafkaConfig) -> str:
    """What is wrong between here and the first broker at which something is; "" where all is well now.

    Connects to each broker, then asks one as a client does: some ten seconds at most.
    """
    for server in kafka.servers.split(","):
        found = _connection(kafka, server.strip())
        if found:
            return found
    return _conversation(kafka)


def certificate_trouble(kafka: KafkaConfig) -> str:
    """What is wrong with a broker's certificate, which no further attempt changes; "" where that is right or can't be seen."""
    servers = kafka.servers.split(",") if kafka.uses_tls else []
    found = [_connection(kafka, server.strip()) for server in servers]
    return next((one for one in found if "certificate" in one), "")


def _connection(kafka: KafkaConfig, server: str) -> str:
    host, _, port = server.rpartition(":")
    if not host or not port.isdecimal():
        return f"{server!r} is no host:port; correct KAFKA_BOOTSTRAP_SERVERS"
    host = host.strip("[]")
    try:
        with socket.create_connection((host, int(port)), _CONNECT_SECONDS) as connection:
            return _handshake(kafka, connection, host, server) if kafka.uses_tls else ""
    except socket.gaierror:
        return f"no machine is known by the name {host}; correct KAFKA_BOOTSTRAP_SERVERS"
    except (OSError, OverflowError):
        return f"nothing listens at {server}; start it, or set KAFKA_BOOTSTRAP_SERVERS to where the brokers are"


def _handshake(kafka: KafkaConfig, connection: socket.socket, host: str, server: str) -> str:
    try:
        context = ssl.create_default_context(cafile=None if kafka.ssl_ca is None else str(kafka.ssl_ca))
    except (OSError, ssl.SSLError):
        return f"KAFKA_SSL_CA has to be a PEM file of certificates, but {kafka.ssl_ca} can't be read as one"
    try:
        context.wrap_socket(connection, server_hostname=host).close()
    except ssl.SSLCertVerificationError as error:
        return _certificate(error, kafka, server)
    except (ssl.SSLError, OSError):
        return (
            f"{server} does not speak TLS, which KAFKA_SECURITY_PROTOCOL={kafka.security_protocol} requires; correct one of "
            "KAFKA_SECURITY_PROTOCOL and KAFKA_BOOTSTRAP_SERVERS"
        )
    return ""


def _certificate(error: ssl.SSLCertVerificationError, kafka: KafkaConfig, server: str) -> str:
    if error.verify_code == _EXPIRED:
        return f"the certificate of {server} has expired; give the broker a new one (KAFKA_SSL_CA is not at fault)"
    if error.verify_code == _NOT_YET:
        return f"the certificate of {server} is not valid yet; see the clocks of both machines"
    if error.verify_code in _OTHER_NAME:
        return (
            f"the certificate of {server} is for another name; name the broker in KAFKA_BOOTSTRAP_SERVERS as its "
            "certificate does"
        )
    trusted = "this machine trusts" if kafka.ssl_ca is None else f"{kafka.ssl_ca} holds"
    return (
        f"the certificate of {server} is signed by another authority than {trusted} ({error.verify_message}); set "
        "KAFKA_SSL_CA to the PEM file of the authority that signed it"
    )


def _conversation(kafka: KafkaConfig) -> str:
    complaints: list[KafkaError] = []
    configuration: dict[str, Any] = {**kafka.for_confluent(), "error_cb": complaints.append, "log_level": 0}
    client = AdminClient(configuration)
    deadline = time.monotonic() + _ANSWER_SECONDS
    while time.monotonic() < deadline:
        with suppress(KafkaException):
            client.list_topics(timeout=1.0)
            return ""
        client.poll(0)
        for complaint in complaints:
            if complaint.code() == KafkaError._AUTHENTICATION:
                return (
                    f"Kafka refuses the login of {kafka.sasl_username}; see KAFKA_SASL_USERNAME, KAFKA_SASL_PASSWORD and "
                    f"KAFKA_SASL_MECHANISM={kafka.sasl_mechanism}"
                )
    said = f" ({complaints[-1].str()})" if complaints else ""
    return (
        f"what listens there does not answer as a broker that is to be asked by "
        f"KAFKA_SECURITY_PROTOCOL={kafka.security_protocol}{said}; see whether that is its protocol, and its log"
    )
