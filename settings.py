"""Every setting of Scoreline, read once from the environment and the command line into one frozen object."""

import os
import re
import sys
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import unquote

from pydantic import BeforeValidator, Field, SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict


def _named(name: str, default: object, help: str) -> Any:
    """A setting whose environment variable has no SCORELINE_ prefix, because other programs know it by this name."""
    return Field(default, validation_alias=name, description=help)


def local_path(text: str | Path) -> Path:
    """A path on this machine, given as a path or as a URI. Raises ValueError where it is elsewhere.

    >>> str(local_path("file:///data/a%20b")), str(local_path("data/history"))
    ('/data/a b', 'data/history')
    """
    scheme = re.match("(?i)(file:)|[a-z][a-z0-9+.-]+:/", str(text)) if isinstance(text, str) else None
    if scheme is None:
        return Path(text)
    path = re.fullmatch("(?i)file:(?://(?:localhost)?)?(/(?!/)[^?#]*)", str(text))
    if path is None:
        raise ValueError("has to be a path on this machine, or a URI as in file:///path")
    return Path(unquote(path[1]))


def _unless_empty(text: str | Path | None) -> str | Path | None:
    """None for a variable that is set to nothing."""
    return None if text == "" else text


LocalPath = Annotated[Path, BeforeValidator(local_path)]
MaybeLocalPath = Annotated[LocalPath | None, BeforeValidator(_unless_empty)]
MaybeSecret = Annotated[SecretStr | None, BeforeValidator(_unless_empty)]
MaybeUri = Annotated[str | None, BeforeValidator(_unless_empty)]


def _flag(location: tuple[int | str, ...]) -> str:
    return "--" + str(location[0]).replace("_", "-")


def _variable(name: str, field: FieldInfo) -> str:
    return str(field.validation_alias or f"scoreline_{name}").upper()


def private_files() -> None:
    """What this process and its children make from now on is for its user alone; so is a .scoreline of an earlier release.

    SCORELINE_UMASK says otherwise, as in 027 for what a group may read.
    """
    mask = os.environ.get("SCORELINE_UMASK", "077")
    if not re.fullmatch("0?[0-7]{3}", mask):
        sys.exit(f"error: SCORELINE_UMASK has to be a umask of three octal digits, as in 027, but it is {mask!r}")
    os.umask(int(mask, 8))
    folder = Path(".scoreline")
    if folder.is_dir() and folder.stat().st_uid == os.getuid():
        folder.chmod(folder.stat().st_mode & ~int(mask, 8))


class SecretRefused(ValueError):
    """A secret came in a way in which others can see it, or from a file that can't be read; the text says what to do."""


class _SecretFiles(PydanticBaseSettingsSource):
    """Secrets from files: KAFKA_SASL_PASSWORD_FILE names the file of KAFKA_SASL_PASSWORD, as Docker and Kubernetes mount it."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """See `PydanticBaseSettingsSource`. Raises `SecretRefused`."""
        variable = _variable(field_name, field)
        path = os.environ.get(f"{variable}_FILE")
        if not path or not _is_secret(field):
            return None, field_name, False
        if os.environ.get(variable):
            raise SecretRefused(f"{variable} and {variable}_FILE are both set: leave one of them out")
        try:
            secret = local_path(path).read_text("utf-8-sig").rstrip("\r\n")
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is no text"
            raise SecretRefused(
                f"{variable}_FILE has to be a file that can be read, but {path} is none: {why}"
            ) from None
        if not secret:
            raise SecretRefused(f"{variable}_FILE has to be a file that holds the secret, but {path} is empty")
        return secret, str(field.validation_alias or field_name), False

    def __call__(self) -> dict[str, Any]:
        """What the files say."""
        fields = self.settings_cls.model_fields.items()
        read = [self.get_field_value(field, name) for name, field in fields]
        return {name: value for value, name, _ in read if value is not None}


def _is_secret(field: FieldInfo) -> bool:
    return "SecretStr" in str(field.annotation)


class Settings(BaseSettings):
    """The settings of a part of Scoreline. Printing it masks its secrets.

    A field `checkpoint` is read from `--checkpoint`, else from SCORELINE_CHECKPOINT; fields that begin with kafka_,
    influxdb_ or mlflow_ are read from variables without the prefix (KAFKA_BOOTSTRAP_SERVERS).
    """

    model_config = SettingsConfigDict(
        env_prefix="scoreline_",
        frozen=True,
        extra="ignore",
        cli_kebab_case=True,
        # Else a folder named null would count as no folder.
        cli_parse_none_str="<not set>",
    )

    kafka_bootstrap_servers: str = _named("kafka_bootstrap_servers", "localhost:9092", "brokers: host:port,host:port")
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = _named(
        "kafka_security_protocol", "PLAINTEXT", "how to talk to Kafka"
    )
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = _named(
        "kafka_sasl_mechanism", "PLAIN", "SASL mechanism"
    )
    kafka_sasl_username: str | None = _named("kafka_sasl_username", None, "SASL user")
    kafka_sasl_password: SecretStr | None = _named("kafka_sasl_password", None, "SASL password")
    kafka_ssl_ca: MaybeLocalPath = _named("kafka_ssl_ca", None, "PEM file of the brokers' certificate authority")
    kafka_isolation_level: Literal["read_committed", "read_uncommitted"] = _named(
        "kafka_isolation_level", "read_committed", "whether records of aborted or open Kafka transactions are left out"
    )

    influxdb_url: str = _named("influxdb_url", "http://localhost:8086", "InfluxDB 1.8, 2 or 3")
    influxdb_token: SecretStr = _named("influxdb_token", "", "InfluxDB token; for 1.8 user:password")
    influxdb_org: str = _named("influxdb_org", "scoreline", "InfluxDB organisation")
    influxdb_bucket: str = _named("influxdb_bucket", "scoreline/autogen", "bucket; for 1.8 database/retention-policy")
    influxdb_ca: MaybeLocalPath = _named("influxdb_ca", None, "PEM file of InfluxDB's certificate authority")

    mlflow_tracking_uri: str = _named("mlflow_tracking_uri", "http://localhost:5000", "MLflow registry")

    model_name: str = Field("scoreline", description="registered model that is trained and served")
    model_alias: str = Field("champion", description="registry alias whose version judges")

    extras_file: MaybeLocalPath = Field(
        None,
        description="TOML file of the numbers that transactions carry beside the contract's fields (docs/replay.md)",
    )

    pull_authorization: SecretStr | None = Field(
        None, description="what `scoreline pull` sends as the header Authorization, as in Bearer …"
    )

    transactions_topic: str = Field("transactions", description="topic of incoming transactions")
    scores_topic: str = Field("scores", description="topic of every scored transaction")
    alerts_topic: str = Field("alerts", description="topic of the anomalies alone")
    invalid_topic: str = Field("transactions.invalid", description="topic of dead letters")
    thresholds_topic: str = Field("thresholds", description="compacted topic of the tables of adaptive thresholds")
    profiles_topic: str = Field("profiles", description="compacted topic that announces the tables of profiles")
    labels_topic: str = Field("labels", description="topic of late labels")
    early_alerts_topic: str = Field("alerts.early", description="topic of the anomalies that the service finds")
    truth_topic: str = Field("truth", description="topic of a simulator's truth, which no detector reads")
    events_topic: str = Field("events", description="topic of what happens to the system: drift, promotions, stalls")

    checkpoint: str = Field(
        ".scoreline/checkpoint",
        min_length=1,
        description="folder of the streaming checkpoints (a path or a Hadoop URI)",
    )
    initial_state: MaybeUri = Field(
        None, description="customers' folded past, for a first start (written by make train; a path or a Hadoop URI)"
    )
    starting_offsets: Literal["earliest", "latest"] = Field("earliest", description="from where a first start reads")
    # In catch-up detect alone comes to 43,100 txn/s with 200,000 of them, to 47,600 with 400,000.
    max_offsets_per_trigger: int = Field(400_000, gt=0, description="most records in one micro-batch")
    max_bytes_per_trigger: int = Field(
        1 << 30,
        gt=0,
        description="about how many bytes of keys and values, unpacked, one micro-batch takes where records are large",
    )
    accept_data_loss: bool = Field(False, description="detect goes on when unread transactions are gone from Kafka")
    replay_of: MaybeUri = Field(
        None,
        description="an earlier checkpoint (a path or a Hadoop URI): records that its ledger knows are judged by what it names",
    )
    ledger_ranges: int = Field(
        100_000,
        ge=1_000,
        description="ranges of the ledger that are kept, the newest; a replay judges older records by what is in use",
    )
    state_partitions: int = Field(2, gt=0, description="partitions of the customers' state; frozen by the checkpoint")
    max_transaction_bytes: int = Field(
        65_536, gt=0, description="messages whose key and value together are larger become dead letters unread"
    )
    max_future_hours: float = Field(
        24.0, gt=0, description="an event_time further ahead of Kafka's clock is a dead letter"
    )
    currency_rates: MaybeLocalPath = Field(
        None,
        description="JSON table of the rates by which amounts of several currencies are compared, instead of the built-in one; "
        "frozen by the checkpoint",
    )
    adaptive_thresholds: bool = Field(
        False, description="judge by the tables of the thresholds topic; else by the model's own threshold alone"
    )
    make_thresholds: bool = Field(
        True, description="with adaptive_thresholds: detect also runs thresholds, in the same Spark application"
    )
    thresholds_interval_seconds: float = Field(10.0, gt=0, description="pause between thresholds' micro-batches")
    thresholds_accept_data_loss: bool = Field(True, description="thresholds goes on when unread scores are gone")
    profiles: bool = Field(
        True,
        description="a model that judges by profiles looks them up in the tables of the profiles topic; else it knows of none",
    )
    make_profiles: bool = Field(True, description="with profiles: detect also runs profiles, in one Spark application")
    profiles_interval_seconds: float = Field(10.0, gt=0, description="pause between profiles' micro-batches")
    profiles_accept_data_loss: bool = Field(True, description="profiles goes on when unread scores or labels are gone")
    profile_block_seconds: int = Field(3_600, gt=0, description="length of a block: profiles are of the last full one")
    profile_index_days: int = Field(
        60, gt=0, description="for so long a label finds the merchant of its transaction, by event time"
    )
    profile_index_transactions: int = Field(
        200_000_000, gt=0, description="of at most so many transactions, the newest (32 bytes of disk each)"
    )
    publish: bool = Field(True, description="detect also runs publish, in the same Spark application")
    publish_interval_seconds: float = Field(5.0, gt=0, description="pause between publish's micro-batches")
    publish_accept_data_loss: bool = Field(True, description="publish goes on when unread scores are gone")
    publish_points: Literal["auto", "all", "sampled", "anomalies"] = Field("auto", description="scores that are points")
    publish_most: float = Field(2_000.0, ge=0, description="auto: up to so many scores a second all, beyond it sampled")
    publish_share: float = Field(0.01, ge=0, le=1, description="sampled: the anomalies and this share of other scores")
    lake: MaybeUri = Field(
        None,
        description="folder of the lake (a path or a Hadoop URI): detect also runs archive, in the same Spark application; "
        "else there is none",
    )
    lake_interval_seconds: float = Field(60.0, gt=0, description="pause between archive's micro-batches")
    lake_days: int | None = Field(None, ge=1, description="days that the lake keeps, by the days of its rows; else all")
    warehouse: MaybeSecret = Field(
        None, description="postgresql://user:password@host/name: archive copies the lake there"
    )
    archive_accept_data_loss: bool = Field(True, description="archive goes on when unread scores or labels are gone")
    review_share: float = Field(0.0, ge=0, le=0.01, description="share of non-alerts that analysts review, at random")
    watch_folder: LocalPath = Field(
        Path(".scoreline/watch"),
        description="folder of the watcher's journal, status and orders; the page shows its status",
    )
    watch_policy: MaybeLocalPath = Field(
        None,
        description="YAML file: when to retrain, try, promote and roll back, else the built-in one; read at each look",
    )
    points_file: MaybeLocalPath = Field(None, description="write line protocol to this file instead of InfluxDB")
    stalled_after_minutes: float = Field(
        5.0, gt=0, description="a query with records to read that finishes no micro-batch for so long is unhealthy"
    )
    serve_host: str = Field("127.0.0.1", description="address that the service listens on")
    serve_port: int = Field(8089, ge=0, le=65_535, description="port that the service listens on; 0 takes a free one")
    serve_state: LocalPath = Field(
        Path(".scoreline/serving"), description="folder of the service's snapshots, ledger, models and tables"
    )
    serve_policy: MaybeLocalPath = Field(None, description="YAML file: what to do with payments; read again if changed")
    serve_keys: MaybeLocalPath = Field(
        None, description="YAML file of API keys by name (sha256, rate); read again if changed"
    )
    serve_tls_certificate: MaybeLocalPath = Field(None, description="PEM file of the service's certificate, for TLS")
    serve_tls_key: MaybeLocalPath = Field(None, description="PEM file of that certificate's key")
    serve_timeout_ms: float = Field(
        1_000.0,
        ge=1,
        le=60_000,
        description="how long a transaction waits for its judgement before the fallback is answered",
    )
    serve_most_waiting: int = Field(2_000, ge=1, description="requests that may wait at once; more are refused (503)")
    serve_request_bytes: int = Field(4 << 20, ge=1_000, description="largest request")
    serve_late_seconds: float = Field(
        10.0, gt=0, description="records older than this are folded and counted, but not alerted early"
    )
    serve_snapshot_seconds: float = Field(5.0, gt=0, description="pause between two snapshots of the service's state")
    serve_partitions: str = Field("", description="partitions that this machine serves, as in 0-2,5; by default all")
    serve_elsewhere: MaybeLocalPath = Field(None, description="YAML file of other machines' partitions by address")
    metrics_host: str = Field("127.0.0.1", description="address on which a job shows its metrics to Prometheus")
    metrics_port: int = Field(9109, ge=0, le=65_535, description="port of a job's metrics; 0 shows none")
    serve_page: bool = Field(False, description="the service also starts the analyst's page, as a process of its own")
    page_host: str = Field("127.0.0.1", description="address that the analyst's page listens on")
    page_port: int = Field(8090, ge=0, le=65_535, description="port that the page listens on; 0 takes a free one")
    page_data: LocalPath = Field(Path(".scoreline/page"), description="folder of the page's case store")
    page_database: MaybeSecret = Field(
        None,
        description="postgresql://user:password@host/name or sqlite:///path of the case store, instead of page_data",
    )
    page_lock_minutes: float = Field(10.0, gt=0, description="how long a case stays with the analyst who took it")
    page_search_transactions: int = Field(
        1_000_000, ge=1_000, description="transactions of the live feed that the page keeps to be searched, the newest"
    )
    page_search_hours: float = Field(72.0, gt=0, description="and none that came longer ago than this")
    page_search_seconds: float = Field(10.0, gt=0, description="after so long a search is stopped, and says so")
    page_tls_certificate: MaybeLocalPath = Field(None, description="PEM file of the page's certificate, for TLS")
    page_tls_key: MaybeLocalPath = Field(None, description="PEM file of that certificate's key")
    page_address: MaybeUri = Field(
        None, description="https://host under which people open the page, where a proxy stands before it"
    )
    page_users: MaybeLocalPath = Field(
        None, description="YAML file of the page's users, made by `scoreline page users`; read again if changed"
    )
    page_roles: MaybeLocalPath = Field(
        None, description="YAML file: of each role the proxy's or provider's groups that have it; read again if changed"
    )
    page_proxy_user: str = Field("", description="header in which a reverse proxy names who has signed in")
    page_proxy_groups: str = Field("", description="header in which that proxy lists the user's groups, by commas")
    page_proxy_from: str = Field(
        "", description="addresses or networks of that proxy: others' headers count for nothing"
    )
    page_oidc_issuer: MaybeUri = Field(None, description="OpenID provider at which people sign in to the page")
    page_oidc_client: str = Field("", description="name under which that provider knows the page")
    page_oidc_secret: MaybeSecret = Field(None, description="the page's secret at that provider")
    page_oidc_name: str = Field("preferred_username", description="claim that names a user; sub where it is not there")
    page_oidc_groups: str = Field("groups", description="claim that lists a user's groups")
    page_idle_minutes: float = Field(60.0, gt=0, description="after so long without anything done one signs in again")
    page_session_hours: float = Field(12.0, gt=0, description="after so long one signs in again in any case")
    page_url: MaybeUri = Field(
        None, description="address of the analyst's page, to which notifications link, as in https://…"
    )
    notify_policy: MaybeLocalPath = Field(
        None, description="YAML file: who is notified of what, when; read again if changed (docs/notifications.md)"
    )
    notify_state: LocalPath = Field(
        Path(".scoreline/notifications"),
        description="folder of what scoreline notify keeps: cases, offsets, deliveries",
    )
    console_seconds: float = Field(
        60.0, gt=0, description="pause between two lines on the console of a job that runs well"
    )
    log_dir: LocalPath = Field(Path(".scoreline/logs"), description="folder of the rotating log files")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="least severe line in the logs")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """See `BaseSettings`."""
        return init_settings, env_settings, _SecretFiles(settings_cls)

    @classmethod
    def secrets(cls) -> dict[str, str]:
        """The secret settings: environment variable by flag. No flag is taken, which all users of a machine could see."""
        fields = cls.model_fields.items()
        return {_flag((name,)): _variable(name, field) for name, field in fields if _is_secret(field)}

    @classmethod
    def refuse_secrets(cls, arguments: list[str]) -> None:
        """Raises `SecretRefused` where one of a command's arguments is a secret's flag."""
        given = {argument.partition("=")[0].replace("_", "-") for argument in arguments}
        for flag, variable in cls.secrets().items():
            if flag in given:
                raise SecretRefused(
                    f"{flag} would show a secret in the list of processes: set {variable} in the environment, or "
                    f"{variable}_FILE to a file that holds it"
                )

    @classmethod
    def from_command_line(cls, arguments: list[str] | None = None) -> Self:
        """Settings from flags, else environment, else defaults; prints help and leaves on --help or a wrong flag."""
        given = sys.argv[1:] if arguments is None else arguments
        try:
            cls.refuse_secrets(given)
            return cls(_cli_parse_args=given)
        except SecretRefused as error:
            print(f"error: {error}", file=sys.stderr)
            sys.exit(2)
        except ValidationError as error:
            wrong = "; ".join(
                f"{_flag(problem['loc'])} {problem['msg'].removeprefix('Value error, ')}, but it is {problem['input']!r}"
                for problem in error.errors()
            )
            print(f"error: wrong settings: {wrong}", file=sys.stderr)
            sys.exit(2)

    def environment(self) -> dict[str, str]:
        """These settings as environment variables (secrets in clear), for a child process with the same settings.

        The files that held secrets are not named in it: a child gets each secret once, whatever its parent's environment says.
        """
        named = {name: field.validation_alias for name, field in type(self).model_fields.items()}
        values = {name: getattr(self, name) for name in named}
        plain = {name: v.get_secret_value() if isinstance(v, SecretStr) else v for name, v in values.items()}
        no_files = {f"{variable}_FILE": "" for variable in self.secrets().values()}
        found = {(named[name] or f"scoreline_{name}").upper(): str(v) for name, v in plain.items() if v is not None}  # type: ignore[union-attr]
        return no_files | found


def as_markdown() -> str:
    """All settings as the table in docs/settings.md."""
    lines = ["| flag | environment variable | default | what it is |", "| --- | --- | --- | --- |"]
    for name, field in Settings.model_fields.items():
        default = "" if field.default is None or field.default == "" else f"`{field.default}`"
        flag = "none: a secret" if _is_secret(field) else f"`{_flag((name,))}`"
        lines.append(f"| {flag} | `{_variable(name, field)}` | {default} | {field.description} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(as_markdown())
