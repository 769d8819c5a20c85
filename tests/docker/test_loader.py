"""docker-compose.yml as Docker Compose's own loader takes it, and the two scripts beside it; no engine is needed."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.docker.compose import FILE, ROOT, environment, example, image, services

LOADER = Path(__file__).with_name("loader")


@pytest.fixture(scope="module")
def loader(tmp_path_factory: pytest.TempPathFactory) -> Path:
    go = shutil.which("go")
    if go is None:
        pytest.skip("there is no Go on the PATH: Compose's own loader is a Go module")
    program = tmp_path_factory.mktemp("loader") / "loader"
    try:
        fetched = subprocess.run(
            [go, "mod", "download"], cwd=LOADER, capture_output=True, text=True, timeout=120, check=False
        )
    except subprocess.TimeoutExpired:
        pytest.skip("the modules of Compose's own loader could not be downloaded within two minutes")
    if fetched.returncode:
        pytest.skip(f"the modules of Compose's own loader can't be downloaded here: {fetched.stderr.strip()[-200:]}")
    done = subprocess.run(
        [go, "build", "-o", str(program), "."], cwd=LOADER, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stderr
    return program


def loaded(loader: Path, file: Path, **variables: str) -> "subprocess.CompletedProcess[str]":
    plain = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return subprocess.run([str(loader), str(file)], env=plain | variables, capture_output=True, text=True, check=False)


def test_compose_takes_the_file_and_sees_in_it_what_these_tests_see(loader: Path) -> None:
    secrets = {name: "secret" for name, value in example().items() if not value}
    plain = loaded(loader, FILE, **secrets)
    assert plain.returncode == 0, plain.stderr
    asked_for = {name for name, service in services().items() if "profiles" in service}
    assert json.loads(plain.stdout)["services"].keys() == services().keys() - asked_for
    project: dict[str, Any] = json.loads(loaded(loader, FILE, COMPOSE_PROFILES="people,loop,notify", **secrets).stdout)
    assert project["name"] == "scoreline"
    assert project["services"].keys() == services().keys()
    for name, seen in project["services"].items():
        service = services()[name]
        assert seen["image"] == service["image"]
        assert seen.get("environment", {}) == environment(service)
        assert (seen["cap_drop"], seen["security_opt"]) == (["ALL"], ["no-new-privileges:true"])
        assert seen.get("read_only", False) is service.get("read_only", False)
        assert all(port["host_ip"] == "127.0.0.1" for port in seen.get("ports", []))


def test_compose_stops_without_a_secret_and_the_test_would_see_a_mistake(loader: Path, tmp_path: Path) -> None:
    refused = loaded(loader, FILE)
    assert refused.returncode == 1
    assert "make .env by python docker/write_env.py" in refused.stderr
    wrong = tmp_path / "docker-compose.yml"
    wrong.write_text("services: {a: {image: b, cap_dorp: [ALL]}}")
    assert "cap_dorp" in loaded(loader, wrong).stderr


INFLUX = """#!/bin/bash
case "$*" in
    "bucket list"*) printf 'b1\\tscoreline/autogen\\n';;
    "v1 dbrp list"*) cat "$0.mapped" 2>/dev/null || echo '[]';;
    "v1 dbrp create"*) echo '[{"virtual": false}]' > "$0.mapped";;
    "auth create --read-bucket b1 --description grafana --json")
        echo "token-$RANDOM==" > "$0.token"; printf '{\\n\\t"token": "%s",\\n\\t"status": "active"\\n}\\n' "$(cat "$0.token")";;
    "auth list --hide-headers") printf 'id\\tgrafana\\t%s\\n' "$(cat "$0.token" 2>/dev/null)";;
    *) echo "unknown: $*" >&2; exit 2;;
esac
"""


def program(folder: Path, name: str, text: str) -> dict[str, str]:
    """A stand-in for a program, and the environment in which it is found."""
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(text)
    (folder / name).chmod(0o755)
    return {"PATH": f"{folder}:{os.environ['PATH']}"}


def test_grafana_s_token_is_made_once_and_made_again_when_the_server_forgot_it(tmp_path: Path) -> None:
    reader = tmp_path / "own" / "grafana-token"
    reader.parent.mkdir(mode=0o700)
    variables = environment(services()["database"]) | {"READER": str(reader)}
    variables |= program(tmp_path / "bin", "influx", INFLUX)
    tokens = []
    for forgets in (False, False, True):
        if forgets:
            (tmp_path / "bin" / "influx.token").write_text("of-a-new-server")
        subprocess.run([ROOT / "docker" / "map_database.sh"], env=variables, check=True, capture_output=True)
        tokens.append(reader.read_text())
    assert tokens[0] == tokens[1] != tokens[2]
    assert all(token.startswith("token-") for token in tokens)
    assert oct(reader.stat().st_mode)[-3:] == "444"


def test_images_are_pinned_by_the_digest_that_docker_says(tmp_path: Path) -> None:
    copy = tmp_path / "docker"
    copy.mkdir()
    shutil.copy(ROOT / "docker" / "pin_images.py", copy)
    shutil.copy(FILE, tmp_path)
    digest = "sha256:" + "0a" * 32
    command = [sys.executable, str(copy / "pin_images.py")]
    found = program(tmp_path / "bin", "docker", f'#!/bin/sh\n[ "$4" != "" ] && echo {digest}\n')
    subprocess.run(command, env=found, check=True, capture_output=True)
    pinned = yaml.safe_load((tmp_path / "docker-compose.override.yml").read_text())["services"]
    theirs = {name: service["image"] for name, service in services().items() if image(service)[0] != "scoreline"}
    assert pinned == {name: {"image": f"{theirs[name]}@{digest}"} for name in theirs}
    found = program(tmp_path / "bin", "docker", "#!/bin/sh\necho no such image >&2; exit 1\n")
    done = subprocess.run(command, env=found, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("error: Docker says no digest of apache/kafka:4.3.1: no such image")
