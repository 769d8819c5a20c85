"""Imports point one way."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# What each package may import of the others. `settings` is a leaf that the edges of any package may read.
ALLOWED = {
    "ml": {"messaging"},  # its command line, which reads scores from Kafka
    "detection": {"ml"},
    "messaging": set[str](),
    "sinks": set[str](),
    "programs": set[str](),
    "generator": {"ml", "messaging"},
    "stack": {"messaging"},
    "jobs": {"ml", "detection", "messaging", "sinks", "stack"},
    "scorecard": {"ml", "generator"},
    "demo": {"ml", "messaging", "detection", "sinks", "stack", "generator", "jobs", "programs"},
    "bench": {"ml", "messaging", "detection", "sinks", "stack", "generator", "jobs", "programs"},
    "torture": {"ml", "messaging", "detection", "stack", "bench", "programs"},
}
# Only the command lines read the settings there; the rest takes arguments.
EDGES = {"ml": {"__main__"}, "generator": {"__main__"}, "messaging": set[str](), "sinks": set[str]()}


def imports(path: Path) -> set[str]:
    """Full names of the modules that a file imports."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


@pytest.mark.parametrize("package", ALLOWED)
def test_imports_point_one_way(package: str) -> None:
    for path in (ROOT / package).rglob("*.py"):
        packages = {name.split(".")[0] for name in imports(path)}
        assert packages & ALLOWED.keys() <= ALLOWED[package] | {package}, path
        if package in EDGES and path.stem not in EDGES[package]:
            assert "settings" not in packages, path


def test_the_generator_knows_of_ml_the_schema_alone() -> None:
    for path in (ROOT / "generator").rglob("*.py"):
        of_ml = {name for name in imports(path) if name.startswith("ml")}
        assert all(name == "ml" or name.startswith("ml.schema") for name in of_ml), path


def test_ml_does_without_spark_and_jobs_need_the_stack_only_to_submit() -> None:
    for path in [*(ROOT / "ml").rglob("*.py"), *(ROOT / "sinks").rglob("*.py")]:
        assert not any(name.startswith("pyspark") for name in imports(path)), path
    for path in (ROOT / "jobs").rglob("*.py"):
        assert path.stem == "__main__" or not any(name.startswith("stack") for name in imports(path)), path
