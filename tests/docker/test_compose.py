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
)

each_service = pytest.mark.parametrize("name", services())

WHAT_USERS_WERE_PROMISED = {
    "prometheus",
    "alertmanager",
    "kafka",
    "kafka-ui",
    "influxdb",
    "grafana",
    "mlflow",
    "job",
    "service",
    "generator",
    "page",
    "watcher",
    "notifier",
}


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


def test_the_service_waits_for_what_the_job_waits_for_and_for_nothing_else() -> None:
    assert services()["service"]["depends_on"] == services()["job"]["depends_on"]


def test_the_watcher_reads_the_lake_that_the_job_writes_and_cannot_change_it() -> None:
    job, watcher = services()["job"], services()["watcher"]
    place = environment(job)["SCORELINE_LAKE"]
    assert environment(watcher)["SCORELINE_LAKE"] == place
    assert f"lake:{place}" in job["volumes"]
    assert f"lake:{place}:ro" in watcher["volumes"]


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
    limits = {name: mebibytes(each["mem_limit"]) for name, each in services().items() if "profiles" not in each}
    running = sum(limit for name, limit in limits.items() if name not in one_shots())
    assert running < 7.5 * 1024
    # Before the job starts, the one-shots have the job's and the generator's share.
    assert sum(limits[name] for name in one_shots()) < limits["job"] + limits["generator"]


@each_service
def test_every_reaper_is_there_so_that_a_signal_arrives(name: str) -> None:
    assert services()[name]["init"] is True


def test_the_job_has_time_to_finish_its_micro_batch() -> None:
    assert seconds(services()["job"]["stop_grace_period"]) >= 60


# What a service may do to the machine


@each_service
def test_a_service_has_no_rights_of_root_and_can_get_none(name: str) -> None:
    service = services()[name]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "cap_add" not in service
    assert "privileged" not in service


@pytest.mark.parametrize("name", [*own(), "grafana"])
def test_the_root_is_read_only_where_that_works(name: str) -> None:
    """Elsewhere an image writes its settings beside its programs: Kafka, Kafka UI, InfluxDB."""
    service = services()[name]
    assert service["read_only"] is True
    assert [path.partition(":")[0] for path in service["tmpfs"]] == ["/tmp"]


def test_what_is_large_is_not_kept_in_memory() -> None:
    job = services()["job"]
    assert environment(job)["TMPDIR"] in dict(mounts(job)).values()
