"""The services of docker-compose.yml find each other: every address, port, bucket and path that one names is another's."""

import re

import pytest
import yaml

from settings import Settings
from tests.docker.compose import ROOT, environment, example, mounts, resolved, services, strings

each_service = pytest.mark.parametrize("name", services())

_ADDRESS = re.compile(r"(?<![\w.-])([a-zA-Z][\w-]*):(\d{2,5})(?!\d)")


def _listening(name: str) -> set[int]:
    return {int(port) for port in services()[name].get("expose", [])}


@each_service
def test_every_address_is_a_service_that_listens_there(name: str) -> None:
    told = [text for key in ("environment", "command") for text in strings(services()[name].get(key, {}))]
    told = [resolved(text, {key: value or "secret" for key, value in example().items()}) for text in told]
    found = [(host, int(port)) for text in told for host, port in _ADDRESS.findall(text)]
    for host, port in found:
        if host == "localhost":
            assert name == "kafka", "localhost is the container itself"
        else:
            assert host in services(), host
            assert port in _listening(host), f"{host}:{port}"


def test_every_client_is_told_where_its_servers_are() -> None:
    """An address that is missing would fall back to localhost."""
    needed = {
        "topics": {"KAFKA_BOOTSTRAP_SERVERS"},
        "trainer": {"MLFLOW_TRACKING_URI"},
        "job": {"KAFKA_BOOTSTRAP_SERVERS", "MLFLOW_TRACKING_URI", "INFLUXDB_URL", "INFLUXDB_TOKEN"},
        "service": {"KAFKA_BOOTSTRAP_SERVERS", "MLFLOW_TRACKING_URI"},
        "watcher": {"KAFKA_BOOTSTRAP_SERVERS", "MLFLOW_TRACKING_URI"},
        "notifier": {"KAFKA_BOOTSTRAP_SERVERS"},
        "generator": {"KAFKA_BOOTSTRAP_SERVERS"},
        "grafana": {"INFLUXDB_URL"},
        "kafka-ui": {"KAFKA_CLUSTERS_0_BOOTSTRAPSERVERS"},
    }
    for name, variables in needed.items():
        assert variables <= environment(services()[name]).keys(), name


def test_prometheus_reads_and_calls_services_that_listen_there() -> None:
    told = yaml.safe_load((ROOT / "prometheus" / "prometheus.yml").read_text())
    parts = [*told["scrape_configs"], *told["alerting"]["alertmanagers"]]
    targets = [target for part in parts for where in part["static_configs"] for target in where["targets"]]
    assert len(targets) == 3
    for host, port in (target.split(":") for target in targets):
        assert int(port) in _listening(host), f"{host}:{port}"
    job = environment(services()["job"])
    assert job["SCORELINE_METRICS_HOST"] == "0.0.0.0"
    assert str(Settings.model_fields["metrics_port"].default) in services()["job"]["expose"]


@each_service
def test_a_health_check_asks_the_port_that_the_service_listens_on(name: str) -> None:
    check = " ".join(strings(services()[name].get("healthcheck", {}).get("test", "")))
    asked = {int(port) for _, port in re.findall(rf"(127\.0\.0\.1|{name}):(\d+)", check)}
    assert asked <= _listening(name)


def test_ports_are_on_the_loopback_only_and_can_be_moved() -> None:
    published = [port for service in services().values() for port in service.get("ports", [])]
    assert all(re.fullmatch(r"127\.0\.0\.1:\$\{\w+_PORT:-\d+\}:\d+", port) for port in published), published


def test_no_two_services_publish_the_same_port() -> None:
    published = [
        resolved(port, {}).split(":")[1] for service in services().values() for port in service.get("ports", [])
    ]
    assert len(set(published)) == len(published) >= 6


@each_service
def test_a_published_port_is_one_that_the_service_listens_on(name: str) -> None:
    for port in services()[name].get("ports", []):
        target = int(port.rpartition(":")[2])
        listeners = environment(services()[name]).get("KAFKA_LISTENERS", "")
        assert target in _listening(name) or f"HOST://:{target}" in listeners


def test_kafka_sends_each_client_back_to_an_address_that_it_can_reach() -> None:
    kafka = services()["kafka"]
    listeners = dict(entry.split("://") for entry in environment(kafka)["KAFKA_LISTENERS"].split(","))
    advertised = dict(entry.split("://") for entry in kafka["environment"]["KAFKA_ADVERTISED_LISTENERS"].split(","))
    secured = dict(entry.split(":") for entry in environment(kafka)["KAFKA_LISTENER_SECURITY_PROTOCOL_MAP"].split(","))
    assert advertised["CONTAINERS"] == f"kafka{listeners['CONTAINERS']}"
    [published] = kafka["ports"]
    host, _, inside = published.removeprefix("127.0.0.1:").rpartition(":")
    assert (advertised["HOST"], listeners["HOST"]) == (f"localhost:{host}", f":{inside}")
    assert secured.keys() == listeners.keys()
    assert listeners["CONTROLLER"].removeprefix(":") in environment(kafka)["KAFKA_CONTROLLER_QUORUM_VOTERS"]


# InfluxDB and Grafana agree


def test_everyone_means_the_same_bucket_database_and_token() -> None:
    server, mapping, job, grafana = (services()[name] for name in ("influxdb", "database", "job", "grafana"))
    setup, mapped, written = environment(server), environment(mapping), environment(job)
    assert setup["DOCKER_INFLUXDB_INIT_BUCKET"] == mapped["BUCKET"] == written["INFLUXDB_BUCKET"]
    assert mapped["BUCKET"] == f"{mapped['DATABASE']}/{mapped['RETENTION_POLICY']}"
    assert setup["DOCKER_INFLUXDB_INIT_ORG"] == mapped["INFLUX_ORG"] == written["INFLUXDB_ORG"]
    tokens = {
        server["environment"]["DOCKER_INFLUXDB_INIT_ADMIN_TOKEN"],
        mapping["environment"]["INFLUX_TOKEN"],
        job["environment"]["INFLUXDB_TOKEN"],
    }
    assert len(tokens) == 1
    datasource = yaml.safe_load((ROOT / "grafana/provisioning/datasources/influxdb.yml").read_text())["datasources"][0]
    assert datasource["jsonData"]["dbName"] == mapped["DATABASE"]
    # Grafana's own token, which can only read, is in a file that the mapping makes.
    assert not [name for name in grafana["environment"] if "TOKEN" in name]
    folder, _, file = mapped["READER"].rpartition("/")
    [volume] = [source for source, target in mounts(mapping) if target == folder]
    [seen] = [target for source, target in mounts(grafana) if source == volume]
    assert datasource["secureJsonData"] == {"httpHeaderValue1": f"Token $__file{{{seen}/{file}}}"}
    assert {name for name, service in services().items() if volume in dict(mounts(service))} == {"database", "grafana"}


def test_the_home_dashboard_is_the_mounted_one() -> None:
    home = environment(services()["grafana"])["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    [folder] = [source for source, target in mounts(services()["grafana"]) if home.startswith(f"{target}/")]
    assert (ROOT / folder / home.rpartition("/")[2]).is_file()
