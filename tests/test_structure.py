"""Imports point one way: what the contracts in pyproject.toml can't say (`lint-imports` checks those)."""

import ast
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
