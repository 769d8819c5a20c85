"""What CI services and pre-commit are told: sound files, which call targets that there are."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[1]
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
GITHUB = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
PIPELINES = [*GITHUB, ROOT / ".gitlab-ci.yml"]
SCHEMAS = {
    **dict.fromkeys(GITHUB, "vendor.github-workflows"),
    ROOT / ".gitlab-ci.yml": "vendor.gitlab-ci",
    ROOT / "CITATION.cff": "vendor.citation-file-format",
}


def loaded(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


@pytest.mark.parametrize("path", SCHEMAS, ids=lambda path: path.name)
def test_a_file_has_the_form_that_its_reader_asks_for(path: Path) -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", SCHEMAS[path], "--force-filetype", "yaml"]
    done = subprocess.run([*command, str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("path", [*PIPELINES, ROOT / ".ci" / "run"], ids=lambda path: path.name)
def test_what_is_called_are_targets_of_the_makefile(path: Path) -> None:
    called = set(re.findall(r"\bmake ([a-z-]+)(?=$| PYTHONS)", path.read_text(), re.MULTILINE))
    assert called
    assert called <= TARGETS


@pytest.mark.parametrize("path", PIPELINES, ids=lambda path: path.name)
def test_no_action_is_of_a_branch_and_nothing_is_hidden_in_what_is_run(path: Path) -> None:
    text = path.read_text()
    assert all(re.fullmatch(r"[\w-]+/[\w-]+@v\d+", action) for action in re.findall(r"uses: (\S+)", text))
    assert "|| true" not in text
    assert "curl" not in text


def test_both_services_run_the_tests_on_every_python_that_is_supported() -> None:
    oldest = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"].removeprefix(">=")
    github, gitlab = loaded(ROOT / ".github" / "workflows" / "ci.yml")["jobs"], loaded(ROOT / ".gitlab-ci.yml")
    for job in ("test", "test-long"):
        versions = github[job]["strategy"]["matrix"]["python"]
        assert versions == gitlab[job]["parallel"]["matrix"][0]["VERSION"]
        assert versions[0] == oldest
        assert all(f"python{version}" in (ROOT / "Makefile").read_text() for version in versions)


def test_a_job_may_write_only_where_it_says_so() -> None:
    for path in GITHUB:
        assert loaded(path)["permissions"] == {"contents": "read"}


def test_a_commit_is_checked_by_the_locked_tools() -> None:
    [local] = loaded(ROOT / ".pre-commit-config.yaml")["repos"]
    assert local["repo"] == "local"
    for hook in local["hooks"]:
        words = hook["entry"].split()
        assert words[:2] == [".venv/bin/python", "-m"] or (words[0] == "make" and words[1] in TARGETS)
        if words[0] != "make":
            path = str(ROOT / "scoreline.py")
            done = subprocess.run([sys.executable, *words[1:], path], cwd=ROOT, capture_output=True, text=True)
            assert done.returncode == 0, done.stderr
