"""How Kafka is reached: one configuration, in the form of each client that Scoreline uses.

kafka-python is used where speed does not matter (topics, offsets, single records), since it can ask a broker for anything and
its exceptions say exactly what is wrong; confluent-kafka where it does (whole topics are read or written), since it is in C.
Spark has Kafka's own Java clients.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol, Self

from messaging.errors import KafkaConfigError

PROTOCOLS: Final = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")
MECHANISMS: Final = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
ISOLATION_LEVELS: Final = ("read_committed", "read_uncommitted")

_LOGIN_MODULES: Final = "org.apache.kafka.common.security."
_NUL: Final = "\0"


class Secret(Protocol):
    """Text that is masked where it is printed."""

    def get_secret_value(self) -> str: ...


class KafkaSettings(Protocol):
    """The settings that say how Kafka is reached; `settings.Settings` has them."""

    @property
    def kafka_bootstrap_servers(self) -> str: ...
    @property
    def kafka_security_protocol(self) -> str: ...
    @property
    def kafka_sasl_mechanism(self) -> str: ...
    @property
    def kafka_sasl_username(self) -> str | None: ...
    @property
    def kafka_sasl_password(self) -> Secret | None: ...
    @property
    def kafka_ssl_ca(self) -> Path | None: ...
    @property
    def kafka_isolation_level(self) -> str: ...


@dataclass(frozen=True)
class KafkaConfig:
    """Where Kafka is, and how to talk to it. Raises `KafkaConfigError` where something is missing or wrong.

    servers: host:port, comma-separated. ssl_ca: PEM file of the authority that signed the brokers' certificates; without
    it, those that each client trusts by default. User and password are used with SASL alone, the authority with TLS alone.

    >>> KafkaConfig("a:1,b:2").for_confluent_consumer()
    {'bootstrap.servers': 'a:1,b:2', 'security.protocol': 'PLAINTEXT', 'isolation.level': 'read_committed'}
    """

    servers: str
    security_protocol: str = "PLAINTEXT"
    sasl_mechanism: str = "PLAIN"
    sasl_username: str | None = None
    sasl_password: str | None = field(default=None, repr=False)
    ssl_ca: Path | None = None
    isolation_level: str = "read_committed"

    @classmethod
    def from_settings(cls, settings: KafkaSettings) -> Self:
        """What the settings say. Raises `KafkaConfigError`."""
        password = settings.kafka_sasl_password
        return cls(
            settings.kafka_bootstrap_servers,
            settings.kafka_security_protocol,
            settings.kafka_sasl_mechanism,
            settings.kafka_sasl_username,
            None if password is None else password.get_secret_value(),
            settings.kafka_ssl_ca,
            settings.kafka_isolation_level,
        )

    def __post_init__(self) -> None:
        if not all(map(str.strip, self.servers.split(","))):
            raise KafkaConfigError(
                f"KAFKA_BOOTSTRAP_SERVERS has to be one host:port or several with commas, but it is {self.servers!r}"
            )
        _one_of("KAFKA_SECURITY_PROTOCOL", self.security_protocol, PROTOCOLS)
        _one_of("KAFKA_ISOLATION_LEVEL", self.isolation_level, ISOLATION_LEVELS)
        if self.uses_sasl:
            _one_of("KAFKA_SASL_MECHANISM", self.sasl_mechanism, MECHANISMS)
            self._require("KAFKA_SASL_USERNAME", self.sasl_username)
            self._require("KAFKA_SASL_PASSWORD", self.sasl_password)
            _sendable("KAFKA_SASL_USERNAME", self.sasl_username)
            _sendable("KAFKA_SASL_PASSWORD", self.sasl_password)
        if self.uses_tls and self.ssl_ca is not None and not self.ssl_ca.is_file():
            raise KafkaConfigError(
                f"KAFKA_SSL_CA has to be a PEM file, but there is no file {self.ssl_ca}: "
                "correct it, or leave it out where a public authority signed the brokers' certificates"
            )

    def _require(self, name: str, value: str | None) -> None:
        if not value:
            raise KafkaConfigError(
                f"KAFKA_SECURITY_PROTOCOL={self.security_protocol} requires a user and a password, but {name} is "
                f"{'not set' if value is None else 'empty'}: set it, or choose PLAINTEXT or SSL"
            )

    @property
    def uses_sasl(self) -> bool:
        """Whether a user and a password are sent."""
        return self.security_protocol.startswith("SASL")

    @property
    def uses_tls(self) -> bool:
        """Whether the connection is encrypted."""
        return self.security_protocol.endswith("SSL")

    def for_kafka_python(self) -> dict[str, Any]:
        """Arguments for kafka-python's producers and administrators."""
        options: dict[str, Any] = {
            "bootstrap_servers": [server.strip() for server in self.servers.split(",")],
            "security_protocol": self.security_protocol,
        }
        if self.uses_sasl:
            options["sasl_mechanism"] = self.sasl_mechanism
            options["sasl_plain_username"] = self._name_for_kafka_python()
            options["sasl_plain_password"] = self.sasl_password
        if self.uses_tls and self.ssl_ca is not None:
            options["ssl_cafile"] = str(self.ssl_ca)
        return options

    def _name_for_kafka_python(self) -> str:
        """It puts a user's name into SCRAM's messages as it is; RFC 5802, 5.1 says how commas and equals signs are written."""
        name = str(self.sasl_username)
        return name if self.sasl_mechanism == "PLAIN" else name.replace("=", "=3D").replace(",", "=2C")

    def for_kafka_python_consumer(self) -> dict[str, Any]:
        """Arguments for kafka-python's consumers."""
        return self.for_kafka_python() | {"isolation_level": self.isolation_level}

    def for_confluent(self) -> dict[str, Any]:
        """Configuration of confluent-kafka's producers."""
        options = {"bootstrap.servers": self.servers, "security.protocol": self.security_protocol}
        if self.uses_sasl:
            options["sasl.mechanism"] = self.sasl_mechanism
            options["sasl.username"] = str(self.sasl_username)
            options["sasl.password"] = str(self.sasl_password)
        if self.uses_tls and self.ssl_ca is not None:
            options["ssl.ca.location"] = str(self.ssl_ca)
        return dict(options)

    def for_confluent_consumer(self) -> dict[str, Any]:
        """Configuration of confluent-kafka's consumers."""
        return self.for_confluent() | {"isolation.level": self.isolation_level}

    def for_java(self) -> dict[str, str]:
        """Properties of Kafka's Java clients; a producer ignores the isolation level."""
        options = {
            "bootstrap.servers": self.servers,
            "security.protocol": self.security_protocol,
            "isolation.level": self.isolation_level,
        }
        if self.uses_sasl:
            options["sasl.mechanism"] = self.sasl_mechanism
            options["sasl.jaas.config"] = self._jaas()
        if self.uses_tls and self.ssl_ca is not None:
            options["ssl.truststore.type"] = "PEM"
            options["ssl.truststore.location"] = str(self.ssl_ca)
        return options

    def for_spark(self) -> dict[str, str]:
        """Options of Spark's Kafka source and sink."""
        return {f"kafka.{name}": value for name, value in self.for_java().items()}

    def _jaas(self) -> str:
        module = "plain.PlainLoginModule" if self.sasl_mechanism == "PLAIN" else "scram.ScramLoginModule"
        return (
            f"{_LOGIN_MODULES}{module} required "
            f'username="{_escaped(self.sasl_username)}" password="{_escaped(self.sasl_password)}";'
        )


def _one_of(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise KafkaConfigError(f"{name} has to be one of {', '.join(known)}, but it is {value!r}")


def _sendable(name: str, value: str | None) -> None:
    """Raises where a client would cut the text short, or could not send it; the text itself is not said."""
    text = str(value)
    if _NUL in text or any("\ud800" <= character <= "\udfff" for character in text):
        raise KafkaConfigError(
            f"{name} has to be text in UTF-8 without the character NUL, which Kafka's clients can send, but it has "
            f"{'a NUL' if _NUL in text else 'bytes that are not UTF-8'}: correct it"
        )


def _escaped(text: str | None) -> str:
    """As Java's StreamTokenizer reads it within quotation marks, where a line may not end."""
    plain = str(text).replace("\\", "\\\\").replace('"', '\\"')
    return plain.replace("\n", "\\n").replace("\r", "\\r")
