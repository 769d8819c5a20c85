"""What the documents name is there: tests, files and names in the code, other documents and their sections."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from ml.features import FEATURE_SET, FEATURES
from ml.schema import TRANSACTION_FIELDS, Score
from settings import as_markdown

ROOT = Path(__file__).parents[1]
DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]
NAMED = re.compile(r"`((?:[\w.]+/)*\w+\.py)(?:::([\w.]+))?`")
LINK = re.compile(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]*))?\)")


def named_in_the_code() -> list[tuple[str, str, str]]:
    """(document, file, name in it; empty for the whole file) of each Python file that a document names."""
    return [
        (path.name, file, name) for path in DOCUMENTS for file, name in NAMED.findall(path.read_text()) if "/" in file
    ]


@cache
def names_in(file: str) -> set[str]:
    """The functions, classes, methods (Class.method) and constants of a Python file."""
    found: set[str] = set()
    for node in ast.parse((ROOT / file).read_text()).body:
        if isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            found |= {name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)}
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
            inner = node.body if isinstance(node, ast.ClassDef) else []
            found |= {f"{node.name}.{method.name}" for method in inner if isinstance(method, ast.FunctionDef)}
    return found


@pytest.mark.parametrize(("document", "file", "name"), named_in_the_code())
def test_what_a_document_names_in_the_code_is_there(document: str, file: str, name: str) -> None:
    assert (ROOT / file).exists(), f"{document} names {file}"
    assert not name or name in names_in(file), f"{document} names {file}::{name}"


def section_names(document: Path) -> set[str]:
    """The anchors of a document's headings, as GitHub and GitLab make them."""
    text = re.sub(r"^```.*?^```", "", document.read_text(), flags=re.MULTILINE | re.DOTALL)
    titles = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_to_files_and_sections_that_exist(document: Path) -> None:
    for file, section in LINK.findall(document.read_text()):
        target = document.parent / file if file else document
        assert target.exists(), f"{document.name} links to {file}"
        assert not section or section in section_names(target), f"{document.name} links to {file}#{section}"


def test_each_of_the_documents_can_be_reached_from_the_readme() -> None:
    reached, new = set[Path](), {ROOT / "README.md"}
    while new:
        document = new.pop()
        reached.add(document)
        links = {(document.parent / file).resolve() for file, _ in LINK.findall(document.read_text()) if file}
        new |= {link for link in links if link.suffix == ".md"} - reached
    assert set(DOCUMENTS) <= reached


def test_the_settings_page_lists_every_setting() -> None:
    page = (ROOT / "docs" / "settings.md").read_text()
    assert as_markdown() in page, "put what `python settings.py` prints into docs/settings.md"


def test_each_row_of_the_table_of_failures_names_its_test() -> None:
    table = (ROOT / "docs" / "failures.md").read_text().split("\n## ")[0]
    rows = [line for line in table.splitlines() if line.startswith("| ")][2:]
    assert len(rows) >= 10
    for row in rows:
        tests = [name for file, name in NAMED.findall(row) if file.startswith("tests/")]
        assert tests, row
        assert all(tests), row


def test_the_readme_is_short_enough_to_be_read_to_its_end() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 170


def test_each_of_the_ten_questions_is_answered_by_a_file_and_a_name() -> None:
    section = (ROOT / "docs" / "architecture.md").read_text().split("## Ten questions")[1].split("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("| ")][2:]
    assert len(rows) == 10
    for row in rows:
        assert all(name for _, name in NAMED.findall(row)), row
        assert NAMED.search(row), row


def test_the_contract_lists_every_field_of_a_score() -> None:
    section = (ROOT / "docs" / "contracts.md").read_text().split("## A score\n")[1].split("\n## ")[0]
    rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    listed = [name for row in rows for name in re.findall(r"`(\w+)`", row)]
    own = [name for name in Score.__struct_fields__ if name not in TRANSACTION_FIELDS]
    assert sorted(listed) == sorted(own)


def test_the_feature_set_stands_in_its_order() -> None:
    text = (ROOT / "docs" / "features.md").read_text()
    assert tuple(text.split(f"## The feature set `{FEATURE_SET}`")[1].split("```")[1].split()) == FEATURES
