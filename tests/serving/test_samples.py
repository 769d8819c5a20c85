"""The producers in docs/samples compile, where there is a compiler, and send what the contract says."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from ml.schema import REQUIRED_FIELDS, TRANSACTION_FIELDS
from stack.jars import broker_jars

SAMPLES = Path(__file__).parents[2] / "docs" / "samples"
GO = shutil.which("gofmt") or shutil.which("gofmt", path="/usr/local/go/bin")


@pytest.mark.skipif(shutil.which("javac") is None, reason="a JRE has no compiler")
def test_the_java_producer_compiles_against_kafkas_client(tmp_path: Path) -> None:
    jars = os.pathsep.join(str(jar) for jar in broker_jars())
    command = ["javac", "-Xlint:all,-path", "-Werror", "-proc:none", "-d", str(tmp_path), "-cp", jars]
    compiled = subprocess.run([*command, str(SAMPLES / "Producer.java")], capture_output=True, text=True)
    assert compiled.returncode == 0, compiled.stderr


@pytest.mark.skipif(GO is None, reason="there is no Go")
def test_the_go_producer_is_go_in_its_usual_form() -> None:
    formatted = subprocess.run([str(GO), "-l", "-e", str(SAMPLES / "producer")], capture_output=True, text=True)
    assert (formatted.returncode, formatted.stdout, formatted.stderr) == (0, "", "")


@pytest.mark.parametrize("file", ["Producer.java", "producer/main.go"])
def test_a_sample_names_fields_of_the_contract_and_all_that_are_required(file: str) -> None:
    text = (SAMPLES / file).read_text()
    named = set(re.findall(r'"([a-z_]+)": ', text) if file.endswith("java") else re.findall(r'json:"([a-z_]+)', text))
    assert set(REQUIRED_FIELDS) <= named <= set(TRANSACTION_FIELDS)
