"""The options of the driver's JVM, as a real JVM understands them, and a heap that none would understand."""

import subprocess

import pytest
from typer.testing import CliRunner

from jobs.__main__ import app, java_options
from stack.java import java


@pytest.fixture(scope="module")
def flags(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The JVM's own account of its flags, with the heap's limit as spark-submit gives it."""
    options = java_options({"SCORELINE_LOG_DIR": str(tmp_path_factory.mktemp("logs"))}, "64m").split()
    command = [java(), "-Xmx64m", *options, "-XX:+PrintFlagsFinal", "-version"]
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
