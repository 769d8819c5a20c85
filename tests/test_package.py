"""What is installed: the two locks, the wheel and the versions that files name."""

import ast
import re
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml
from hatchling.builders.wheel import WheelBuilder

import scoreline

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
INCLUDED = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["only-include"]


def pins(lock: str) -> dict[str, set[str]]:
    """Of each library of a lock: its versions, and the hashes of their files."""
    found: dict[str, set[str]] = {}
    for line in (ROOT / lock).read_text().splitlines():
        if pin := re.match(r"([\w.-]+)==(\S+)", line):
            found.setdefault(pin[1], set()).add(pin[2])
            name = pin[1]
        elif checksum := re.search(r"--hash=sha256:[0-9a-f]{64}", line):
            found[name].add(checksum[0])
    return found


def named(requirement: str) -> str:
    return re.split(r"[^\w.-]", requirement)[0].lower()


def test_what_runs_in_the_tests_is_what_runs() -> None:
    running, testing = pins("requirements.lock"), pins("requirements-dev.lock")
    assert running.items() <= testing.items()


def test_what_only_tests_need_is_not_in_the_lock_of_what_runs() -> None:
    """But for what MLflow brings itself."""
    only_tests = {named(one) for one in PROJECT["dependency-groups"]["dev"]} - {"joblib", "matplotlib", "cryptography"}
    assert not only_tests & pins("requirements.lock").keys()
    assert only_tests <= pins("requirements-dev.lock").keys()


def test_every_library_is_locked_to_files_with_a_hash() -> None:
    locked = pins("requirements.lock")
    assert {named(one) for one in PROJECT["project"]["dependencies"]} <= locked.keys()
    assert all(any(one.startswith("--hash=") for one in what) for what in locked.values())


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    folder = tmp_path_factory.mktemp("wheel")
    (path,) = WheelBuilder(str(ROOT)).build(directory=str(folder), versions=["standard"])
    return zipfile.ZipFile(path)


def test_every_module_and_data_file_of_the_application_is_in_the_wheel(wheel: zipfile.ZipFile) -> None:
    expected = {
        str(path.relative_to(ROOT))
        for name in INCLUDED
        for path in [ROOT / name, *(ROOT / name).rglob("*")]
        if path.is_file() and "__pycache__" not in path.parts
    }
    packed = set(wheel.namelist())
    assert {name for name in packed if not name.startswith("scoreline-")} == expected
    assert {"jobs/log4j2.properties", "stack/jars.lock", "scorecard/page.css", "generator/samples/ulb.csv"} <= packed
    assert {"ml/py.typed", "generator/replay/formats/paysim.yaml"} <= packed


def test_the_wheel_has_the_command_and_the_licence(
    wheel: zipfile.ZipFile,
) -> None:
    [about] = {name.split("/")[0] for name in wheel.namelist() if name.startswith("scoreline-")}
    assert "scoreline = scoreline:main" in wheel.read(f"{about}/entry_points.txt").decode()
    assert wheel.read(f"{about}/licenses/LICENSE").decode() == (ROOT / "LICENSE").read_text()
    assert {command.package for command in scoreline.COMMANDS} <= set(INCLUDED)


def test_what_a_module_of_the_wheel_imports_of_ours_is_in_it_too() -> None:
    ours = {path.stem for path in [*ROOT.glob("*.py"), *(init.parent for init in ROOT.glob("*/__init__.py"))]}
    included = {name.removesuffix(".py") for name in INCLUDED}
    for path in [
        ROOT / "scoreline.py",
        ROOT / "settings.py",
        *(one for name in included for one in ROOT.glob(f"{name}/**/*.py")),
    ]:
        imported = set()
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                imported |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                imported.add(node.module.split(".")[0])
        assert imported & ours <= included, path


@pytest.mark.parametrize("package", [name for name in INCLUDED if not name.endswith(".py")])
def test_a_package_says_that_it_has_types(package: str) -> None:
    assert (ROOT / package / "py.typed").is_file()


def test_the_version_is_the_same_wherever_it_is_written() -> None:
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text())["version"] == scoreline.__version__
