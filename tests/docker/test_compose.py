"""docker-compose.yml holds together: whatever it refers to is there, and nothing in it is left to chance."""

import re
from graphlib import TopologicalSorter
from typing import Any

import pytest
import yaml

from tests.docker.compose import (
    FILE,
    OWN_IMAGE,
    ROOT,
    VARIABLE,
    compose,
    environment,
    example,
    image,
    mebibytes,
    mounts,
    one_shots,
    own,
    resolved,
    seconds,
    services,
    strings,
)

each_service = pytest.mark.parametrize("name", services())

WHAT_USERS_WERE_PROMISED = {"kafka", "kafka-ui", "influxdb", "grafana", "mlflow", "job", "generator"}

_ADDRESS = re.compile(r"(?<![\w.-])([a-zA-Z][\w-]*):(\d{2,5})(?!\d)")


class _NoDuplicates(yaml.SafeLoader):
    """Docker Compose refuses a key that stands twice; PyYAML takes the last one."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value if key.tag != "tag:yaml.org,2002:merge"]
        assert len(keys) == len(set(keys)), f"line {node.start_mark.line}: a key stands twice in {keys}"
        return super().construct_mapping(node, deep)


def test_no_key_stands_twice() -> None:
    yaml.load(FILE.read_text(), _NoDuplicates)


def test_everything_that_users_were_promised_is_there() -> None:
    assert services().keys() >= WHAT_USERS_WERE_PROMISED


# Paths and volumes


@each_service
def test_what_is_mounted_or_built_is_there(name: str) -> None:
    service = services()[name]
    for source, _ in mounts(service):
        if source.startswith("."):
            assert (ROOT / source).exists(), source
        else:
            assert source in compose()["volumes"]
    if "build" in service:
        assert (ROOT / service["build"]["context"] / service["build"]["dockerfile"]).is_file()


def test_each_volume_is_used() -> None:
    used = {source for service in services().values() for source, _ in mounts(service)}
    assert set(compose()["volumes"]) <= used


@pytest.mark.parametrize("name", own())
def test_the_folders_that_a_service_is_told_of_are_mounted(name: str) -> None:
    targets = [target for _, target in mounts(own()[name])]
    told = [value for value in environment(own()[name]).values() if value.startswith("/")]
    told += re.findall(r"(?<==)(?:sqlite:///)?(/\w[^\s]*)", " ".join(own()[name].get("command", [])))
    for path in told:
        assert any(path == target or path.startswith(f"{target}/") for target in targets), path


# Variables and secrets


def test_every_variable_is_explained_in_the_example_and_every_example_is_used() -> None:
    assert {match["name"] for match in VARIABLE.finditer(FILE.read_text())} == set(example())


def test_a_default_is_what_the_example_says_and_a_secret_has_none() -> None:
    for match in VARIABLE.finditer(FILE.read_text()):
        if match["kind"] == "-":
            assert match["word"] == example()[match["name"]]
        else:
            assert match["kind"] == "?", f"{match[0]} has neither a default nor a word on how to set it"
            assert match["word"]
            assert example()[match["name"]] == ""


def test_without_its_secrets_nothing_starts() -> None:
    with pytest.raises(KeyError):
        resolved(FILE.read_text(), example())


@each_service
def test_no_secret_stands_in_the_file(name: str) -> None:
    for variable, value in services()[name].get("environment", {}).items():
        if re.search("TOKEN|PASSWORD|SECRET|KEY", variable):
            assert VARIABLE.fullmatch(value), variable


# Order and health


def test_what_a_service_waits_for_is_there_and_no_circle() -> None:
    order = TopologicalSorter({name: service.get("depends_on", {}) for name, service in services().items()})
    assert set(order.static_order()) == set(services())


@each_service
def test_a_service_waits_for_health_or_for_the_end_of_what_ends(name: str) -> None:
    for other, wait in services()[name].get("depends_on", {}).items():
        expected = "service_completed_successfully" if other in one_shots() else "service_healthy"
        assert wait == {"condition": expected}, other


@each_service
def test_what_runs_on_has_a_health_check_and_comes_back(name: str) -> None:
    service = services()[name]
    if name in one_shots():
        assert "healthcheck" not in service
        return
    check = service["healthcheck"]
    assert service["restart"] == "unless-stopped"
    assert seconds(check["timeout"]) <= seconds(check["interval"])
    assert check["retries"] >= 3
    assert seconds(check["start_period"]) >= 30
    first_look = seconds(check.get("start_interval", check["interval"]))
    assert first_look <= 15, "the others wait at least this long for it"


def test_somebody_waits_for_each_one_shot() -> None:
    """Else `docker compose up --wait` takes its end for a failure."""
    awaited = {other for service in services().values() for other in service.get("depends_on", {})}
    assert set(one_shots()) <= awaited


def test_detection_does_not_wait_for_influxdb() -> None:
    """Its one hard dependency is Kafka; topics and a first model are made before it starts."""

    def all_before(name: str) -> set[str]:
        before = set(services()[name].get("depends_on", {}))
        return before.union(*map(all_before, before))

    assert all_before("job") == {"kafka", "topics", "mlflow", "trainer"}


# Addresses and ports


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
        "generator": {"KAFKA_BOOTSTRAP_SERVERS"},
        "grafana": {"INFLUXDB_URL", "INFLUXDB_TOKEN"},
        "kafka-ui": {"KAFKA_CLUSTERS_0_BOOTSTRAPSERVERS"},
    }
    for name, variables in needed.items():
        assert variables <= environment(services()[name]).keys(), name


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
        grafana["environment"]["INFLUXDB_TOKEN"],
    }
    assert len(tokens) == 1
    datasource = yaml.safe_load((ROOT / "grafana/provisioning/datasources/influxdb.yml").read_text())["datasources"][0]
    assert datasource["jsonData"]["dbName"] == mapped["DATABASE"]


def test_the_home_dashboard_is_the_mounted_one() -> None:
    home = environment(services()["grafana"])["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    [folder] = [source for source, target in mounts(services()["grafana"]) if home.startswith(f"{target}/")]
    assert (ROOT / folder / home.rpartition("/")[2]).is_file()


# Images, users, limits


@each_service
def test_an_image_is_pinned_to_one_version(name: str) -> None:
    assert re.fullmatch(r"v?\d+\.\d+\.\d+", image(services()[name])[1]), services()[name]["image"]


@each_service
def test_only_our_own_image_is_built(name: str) -> None:
    assert ("build" in services()[name]) == (image(services()[name])[0] == OWN_IMAGE)


@each_service
def test_nothing_runs_as_root(name: str) -> None:
    assert services()[name]["user"].split(":")[0] not in ("", "root", "0")


@each_service
def test_logs_are_bounded(name: str) -> None:
    assert services()[name]["logging"]["options"] == {"max-size": "10m", "max-file": "5"}


def test_what_runs_together_fits_a_laptop_of_8_gigabytes() -> None:
    limits = {name: mebibytes(service["mem_limit"]) for name, service in services().items()}
    running = sum(limit for name, limit in limits.items() if name not in one_shots())
    assert running < 7 * 1024
    # Before the job starts, the one-shots have the job's and the generator's share.
    assert sum(limits[name] for name in one_shots()) < limits["job"] + limits["generator"]


@each_service
def test_every_reaper_is_there_so_that_a_signal_arrives(name: str) -> None:
    assert services()[name]["init"] is True


def test_the_job_has_time_to_finish_its_micro_batch() -> None:
    assert seconds(services()["job"]["stop_grace_period"]) >= 60
