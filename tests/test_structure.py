"""Imports point one way: what the contracts in pyproject.toml can't say (`lint-imports` checks those)."""

import ast
import re
import sys
import tomllib
from graphlib import TopologicalSorter
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = sorted(path.parent.name for path in ROOT.glob("*/__init__.py") if path.parent.name != "tests")


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    return grimp.build_graph(*PACKAGES, cache_dir=None)


def test_no_module_is_imported_by_what_it_imports(graph: grimp.ImportGraph) -> None:
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    TopologicalSorter(imports).prepare()  # raises CycleError, with the circle


def test_the_contracts_are_about_every_package() -> None:
    linter = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    assert sorted(linter["root_packages"]) == PACKAGES
    for contract in linter["contracts"]:
        if contract["type"] == "layers":
            assert sorted(name for layer in contract["layers"] for name in layer.split(" | ")) == PACKAGES
        if contract["type"] == "acyclic_siblings":
            assert sorted(contract["ancestors"]) == PACKAGES


def test_the_settings_import_nothing_of_ours() -> None:
    imported = set[str]()
    for node in ast.walk(ast.parse((ROOT / "settings.py").read_text())):
        if isinstance(node, ast.Import):
            imported |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add(str(node.module).split(".")[0])
    assert imported - sys.stdlib_module_names == {"pydantic", "pydantic_settings"}


STARTED_BY_ANOTHER = {
    "bench/open_loop.py", "bench/sender.py", "bench/peers/fastapi_service.py", "bench/peers/plain_python.py",
    "bench/peers/quix_streams.py", "bench/peers/textbook_pyspark.py", "jobs/worker_daemon.py", "ml/gate/fresh.py",
    "page/overview/quality.py", "torture/feed.py",
}  # fmt: skip
"""They have the umask of the program that starts them."""
OF_THE_REPOSITORY = {
    "docker/pin_images.py", "docker/traffic.py", "docker/write_env.py", "generator/samples/make.py", "grafana/__main__.py",
    "jobs/runtime/metering/families.py", "orchestration/scoreline_flows.py", "scorecard/drift.py", "serving/schemas.py",
    "stack/influxd.py", "stack/install.py", "stack/resolve.py",
}  # fmt: skip
"""They write no one's data: nothing, files of the repository, what is installed (docker/write_env.py sees to it itself)."""
PRIVATE = re.compile(r"\bprivate_files\(\)|^from jobs\.runtime\.application import run$", re.MULTILINE)


def test_every_program_keeps_what_it_makes_to_its_user() -> None:
    programs = {
        str(path.relative_to(ROOT))
        for package in [*PACKAGES, "docker", "orchestration", "tests/fuzz"]
        for path in (ROOT / package).rglob("*.py")
        if re.search("^if __name__ == .__main__.:", path.read_text(), re.MULTILINE)
    }
    programs |= {"scoreline.py"}
    without = {name for name in programs if not PRIVATE.search((ROOT / name).read_text())}
    assert without == STARTED_BY_ANOTHER | OF_THE_REPOSITORY
