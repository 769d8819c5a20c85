"""What `submit` hands to spark-submit: options that a real JVM understands, and what a cluster needs."""

import shlex
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from jobs.__main__ import app, java_options
from jobs.runtime.shipped_code import ROOT
from stack.java import java


@pytest.fixture(scope="module")
def flags(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The JVM's own account of its flags, with the heap's limit as spark-submit gives it."""
    options = java_options(tmp_path_factory.mktemp("logs"), "64m")
    command = [java(), "-Xmx64m", *shlex.split(options), "-XX:+PrintFlagsFinal", "-version"]
    said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    return {words[1]: words[3] for words in map(str.split, said.splitlines()) if len(words) > 3 and words[2] == "="}


def test_the_heap_is_taken_whole_at_the_start(flags: dict[str, str]) -> None:
    assert flags["InitialHeapSize"] == flags["MaxHeapSize"] == str(64 << 20)
    assert flags["AlwaysPreTouch"] == "true"


def test_the_parallel_collector_is_chosen(flags: dict[str, str]) -> None:
    assert flags["UseParallelGC"] == "true"


@pytest.mark.parametrize("memory", ["lots", "2", "2gb", ""])
def test_a_heap_that_no_jvm_understands_is_refused(memory: str) -> None:
    done = CliRunner().invoke(app, ["submit", "--driver-memory", memory])
    assert done.exit_code == 2
    assert "a number and k, m or g" in done.output


@pytest.mark.parametrize("name", ["a b", "it's", 'in "quotes"', "back\\slash", "%20 $HOME #", "\u00e9"])
@pytest.mark.parametrize("given", ["as a flag", "in the environment", "as a URI"])
def test_java_logs_to_the_folder_of_the_setting_whatever_it_is_called_and_however_it_is_given(
    submitted: Callable[..., tuple[list[str], dict[str, str]]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    given: str,
) -> None:
    folder = tmp_path / name
    if given == "in the environment":
        monkeypatch.setenv("SCORELINE_LOG_DIR", str(folder))
    flags = {"as a flag": [f"--log-dir={folder}"], "as a URI": ["--log-dir", folder.as_uri()]}.get(given, [])
    command, _ = submitted(*flags)
    options = shlex.split(command[command.index("--driver-java-options") + 1])
    assert f"-Dscoreline.logs={folder}" in options


def test_spark_submit_hands_java_a_folder_with_blanks_and_quotation_marks_as_it_is(
    submitted: Callable[..., tuple[list[str], dict[str, str]]], tmp_path: Path
) -> None:
    folder = tmp_path / 'a b "c" \\d'
    command, environment = submitted("--driver-memory", "64m", "--log-dir", str(folder))
    options = command[command.index("--driver-java-options") + 1]
    print_all = [
        command[0],
        "--driver-memory",
        "64m",
        "--driver-java-options",
        f"{options} -XshowSettings:properties",
        "--version",
    ]
    done = subprocess.run(print_all, env=environment, capture_output=True, text=True, timeout=300, check=True)
    assert f"scoreline.logs = {folder}\n" in done.stderr + done.stdout


@pytest.fixture
def submitted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., tuple[list[str], dict[str, str]]]:
    """Gives the command line and the environment with which spark-submit would take over."""
    seen: list[tuple[list[str], dict[str, str]]] = []
    monkeypatch.setattr("os.execve", lambda _, command, environment: seen.append((command, environment)))
    monkeypatch.setattr("jobs.__main__._filter_errors", lambda: None)
    monkeypatch.setenv("SCORELINE_LOG_DIR", str(tmp_path / "logs"))

    def submit(*flags: str) -> tuple[list[str], dict[str, str]]:
        done = CliRunner().invoke(app, ["submit", *flags])
        assert done.exit_code == 0, done.output
        return seen[-1]

    return submit


@pytest.mark.parametrize("master", ["spark://host:7077", "yarn", "k8s://https://host", "local-cluster[2,1,1024]"])
def test_a_cluster_is_sent_the_code(
    submitted: Callable[..., tuple[list[str], dict[str, str]]], tmp_path: Path, master: str
) -> None:
    command, environment = submitted("--master", master, "--conf", "spark.executor.memory=4g", "--log-level", "DEBUG")
    code = Path(command[command.index("--py-files") + 1])
    assert code.parent == tmp_path / "shipped"
    assert "jobs/worker_daemon.py" in zipfile.ZipFile(code).namelist()
    assert "spark.executor.memory=4g" in command
    assert command[-3:] == [str(ROOT / "jobs" / "detect.py"), "--log-level", "DEBUG"]
    assert "--driver-class-path" not in command
    assert str(ROOT) not in environment.get("PYTHONPATH", "")


def test_executors_elsewhere_may_have_another_python(
    submitted: Callable[..., tuple[list[str], dict[str, str]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYSPARK_PYTHON", "/opt/environment/bin/python")
    command, environment = submitted("--master", "spark://host:7077")
    assert environment["PYSPARK_PYTHON"] == "/opt/environment/bin/python"
    assert f"spark.pyspark.driver.python={sys.executable}" in command


def test_on_this_machine_the_code_is_used_where_it_is(
    submitted: Callable[..., tuple[list[str], dict[str, str]]], tmp_path: Path
) -> None:
    command, environment = submitted("--master", "local[2]")
    assert "--py-files" not in command
    assert environment["PYTHONPATH"] == str(ROOT)
    assert not (tmp_path / "shipped").exists()


def test_the_jars_are_printed_as_spark_takes_them() -> None:
    done = CliRunner().invoke(app, ["jars"])
    assert done.exit_code == 0
    jars = done.output.strip().split(",")
    assert any("spark-sql-kafka" in jar for jar in jars)
    assert all(Path(jar).is_file() for jar in jars)
