"""Scoreline's image, checked without an engine: what is copied is all that its services need, and their commands hold."""

import os
import re
import shutil
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path

import pytest

from settings import Settings
from tests.docker.compose import APP, ROOT, command, compose, environment, example, mounts, own, services

DOCKERFILE = ROOT / "docker" / "job.Dockerfile"

NOT_SETTINGS = {
    "trainer": {"HISTORY"},
    "page": {"PAGE_PASSWORD"},
    "mlflow": {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION", "MLFLOW_DISABLE_TELEMETRY"},
    "job": {"SPARK_LOCAL_IP", "TMPDIR"},
    "watcher": {"TMPDIR"},
    "notifier": {"NOTIFY_URL"},
}
"""What a service is told that is no setting of Scoreline's: read by scripts in docker/, MLflow, Spark and Python."""

_FLAG = re.compile(r"(?<=\s)--[a-z][a-z-]+")


def _instructions(kind: str) -> list[str]:
    joined = DOCKERFILE.read_text().replace("\\\n", " ")
    return [line.removeprefix(kind).strip() for line in joined.splitlines() if line.startswith(f"{kind} ")]


def _copied() -> dict[str, Path]:
    """Path in the repository → path in the application's folder."""
    found = {}
    for instruction in _instructions("COPY"):
        *sources, target = instruction.split()
        for source in sources:
            into = target.endswith("/") or len(sources) > 1
            found[source] = Path(target, Path(source).name) if into else Path(target)
    return found


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The application's folder as the image has it, and nothing else of the repository."""
    folder = tmp_path_factory.mktemp("image")
    for source, target in _copied().items():
        if (ROOT / source).is_dir():
            shutil.copytree(
                ROOT / source, folder / target, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__")
            )
        else:
            (folder / target).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / source, folder / target)
    return folder


def _run(app: Path, *arguments: str) -> str:
    """Run a command where the image would; its output, or a failed test."""
    words = {"python": sys.executable, "mlflow": str(Path(sys.executable).with_name("mlflow"))}
    variables = {"PYTHONPATH": str(app), "COLUMNS": "300", "TERM": "dumb", "PYTHONDONTWRITEBYTECODE": "1"}
    first, *rest = arguments
    done = subprocess.run(
        [words.get(first, first), *rest],
        cwd=app,
        env=os.environ | variables,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_base_image_is_pinned_to_one_version() -> None:
    [base] = _instructions("FROM")
    assert re.fullmatch(r"python:3\.11\.\d+-slim-bookworm", base)


def test_the_image_does_not_run_as_root() -> None:
    assert _instructions("USER") == ["scoreline"]
    [made] = [line for line in _instructions("RUN") if "useradd" in line]
    assert "useradd --system --create-home --uid 10001 scoreline" in made
    assert {service["user"] for service in own().values()} == {"scoreline"}


def test_libraries_are_the_locked_ones_and_checked() -> None:
    assert any("--require-hashes --requirement requirements.lock" in line for line in _instructions("RUN"))


def test_the_application_stands_where_python_looks_for_it() -> None:
    assert _instructions("WORKDIR") == [APP]
    [variables] = _instructions("ENV")
    assert f"PYTHONPATH={APP}" in variables.split()


def test_the_image_makes_the_folders_that_its_services_mount_volumes_on() -> None:
    """A volume that is mounted on a missing folder belongs to root."""
    [made] = [line for line in _instructions("RUN") if "install --directory" in line]
    folders = set(re.findall(r"(?<= )/\w+", made.partition("--owner=scoreline")[2]))
    mounted = [(source, target) for service in own().values() for source, target in mounts(service)]
    assert folders == {target for source, target in mounted if not source.startswith(".")}


@pytest.mark.parametrize("source", _copied())
def test_what_is_copied_is_there_and_not_ignored(source: str) -> None:
    assert (ROOT / source).exists()
    rules = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    last = [rule for rule in rules if any(fnmatch(part, rule.lstrip("!")) for part in (source, source.split("/")[0]))][
        -1
    ]
    assert last.startswith("!")


def test_nothing_secret_or_large_can_get_into_the_image() -> None:
    rules = (ROOT / ".dockerignore").read_text().splitlines()
    assert rules[1] == "*"
    assert not {"!.env", "!.git", "!.venv", "!.scoreline", "!docker"} & set(rules)


def test_what_is_copied_is_all_that_the_programs_import(app: Path) -> None:
    programs = "jobs.detect", "jobs.publish", "jobs.__main__", "generator.__main__", "ml.__main__", "stack.__main__"
    programs += ("serving.__main__", "page.__main__", "page.server", "watch.__main__", "notifications.__main__")
    own = (
        "generator",
        "jobs",
        "lake",
        "ml",
        "notifications",
        "page",
        "scoreline",
        "serving",
        "settings",
        "sinks",
        "stack",
    )
    own += "versions", "watch"
    code = f"import sys, {', '.join(programs)}; print(*(sys.modules[name].__file__ for name in {own}), sep='\\n')"
    assert all(Path(file).is_relative_to(app) for file in _run(app, "python", "-c", code).splitlines())


def _programs() -> dict[str, list[str]]:
    """Every command that runs Scoreline's code: of the services, their health checks and the scripts."""
    found = {name: command(service) for name, service in own().items()}
    checks = {name: service.get("healthcheck", {}).get("test", []) for name, service in own().items()}
    found |= {f"{name}'s health check": check[1:] for name, check in checks.items() if check}
    found = {name: words for name, words in found.items() if words[0] != "sh" and "-c" not in words}
    for script in sorted({word for service in own().values() for word in service["command"] if word.endswith(".sh")}):
        lines = re.findall(r"^ *(?:.*\| |exec )?(python .*)", (ROOT / script).read_text(), re.MULTILINE)
        assert lines, f"{script} runs no program"
        found |= {f"{script}: {line}": line.replace('"', "").split() for line in lines}
    return found


@pytest.mark.parametrize("words", _programs().values(), ids=_programs())
def test_a_command_exists_and_knows_each_of_its_flags(words: list[str], app: Path) -> None:
    begin = next((index for index, word in enumerate(words) if word.startswith("--")), len(words))
    program = [word for word in words[:begin] if not word.startswith("$")]
    explained = _run(app, *program, "--help")
    flags = [word.partition("=")[0] for word in words[begin:] if word.startswith("--")]
    assert set(flags) <= set(_FLAG.findall(explained))


@pytest.mark.parametrize("name", own())
def test_what_a_service_is_told_is_a_setting(name: str) -> None:
    known = {str(field.validation_alias or f"scoreline_{key}").upper() for key, field in Settings.model_fields.items()}
    assert own()[name].get("environment", {}).keys() - NOT_SETTINGS.get(name, set()) <= known


@pytest.mark.parametrize("name", own())
def test_the_settings_of_a_service_are_accepted(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    told = environment(own()[name])
    for variable, value in told.items():
        monkeypatch.setenv(variable, value)
    accepted = Settings.from_command_line([]).environment()
    assert {variable: accepted[variable] for variable in told.keys() - NOT_SETTINGS.get(name, set())} == {
        variable: value for variable, value in told.items() if variable not in NOT_SETTINGS.get(name, set())
    }


def test_the_choices_that_the_example_offers_are_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    for choice in ("auto", "all", "sampled", "anomalies"):
        assert choice in (ROOT / ".env.example").read_text()
        monkeypatch.setenv("SCORELINE_PUBLISH_POINTS", choice)
        Settings.from_command_line([])
    assert services()["job"]["environment"]["SCORELINE_PUBLISH_POINTS"] == "${PUBLISH_POINTS:-auto}"
    assert example()["PUBLISH_POINTS"] == Settings.model_fields["publish_points"].default


@pytest.mark.parametrize("script", sorted((ROOT / "docker").glob("*.sh")), ids=lambda script: script.name)
def test_a_script_is_sound_and_all_that_it_reads_is_set(script: Path) -> None:
    shell = script.read_text().splitlines()[0].removeprefix("#!")
    subprocess.run([shell, "-n", str(script)], check=True)
    runs_it = [name for name, service in services().items() if script.name in str(service)]
    [service] = [compose()["services"][name] for name in runs_it]
    read = set(re.findall(r"\$\{?([A-Z_]+)", script.read_text()))
    assert read
    assert read <= set(service["environment"])
