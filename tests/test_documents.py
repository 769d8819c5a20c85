"""What the documents say is shown by a test is shown by a test that there is."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
NAMED = re.compile(r"`(tests/[\w/]+\.py)(?:::(\w+))?`")


def named_tests() -> list[tuple[str, str, str]]:
    """(document, file, test; empty for the whole file) of each test that a document names."""
    return [(path.name, file, test) for path in DOCUMENTS for file, test in NAMED.findall(path.read_text())]


@pytest.mark.parametrize(("document", "file", "test"), named_tests())
def test_a_test_that_a_document_names_is_there(document: str, file: str, test: str) -> None:
    assert (ROOT / file).exists(), f"{document} names {file}"
    found = {node.name for node in ast.walk(ast.parse((ROOT / file).read_text())) if isinstance(node, ast.FunctionDef)}
    assert not test or test in found, f"{document} names {file}::{test}"


def test_each_row_of_the_table_of_failures_names_its_test() -> None:
    section = (
        (ROOT / "docs" / "operations.md").read_text().split("## What holds when something fails")[1].split("\n## ")[0]
    )
    rows = [line for line in section.splitlines() if line.startswith("| ")][2:]
    assert len(rows) >= 10
    for row in rows:
        file_and_test = NAMED.search(row)
        assert file_and_test, row
        assert file_and_test[2], row
