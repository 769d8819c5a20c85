"""The code uses the glossary's words: what stands under "not" is in no public name."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

ROOT = Path(__file__).parents[1]
GLOSSARY = ROOT / "docs" / "glossary.md"
PACKAGES = sorted(path.parent for path in ROOT.glob("*/__init__.py") if path.parent.name != "tests")
ALLOWED: Final = frozenset[str]()
"""Names of others that we have to use, such as a method of Spark's that we override."""


def rows() -> list[list[str]]:
    """The cells of all terms in the glossary's tables."""
    lines = [line for line in GLOSSARY.read_text().splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [row for row in cells if row[0] not in ("term", "say", "---")]


def banned() -> set[str]:
    return {word for row in rows() for word in row[-1].split(", ") if word}


def words(name: str) -> set[str]:
    """
    >>> sorted(words("TableFollower")), sorted(words("tell_losses"))
    (['follower', 'table'], ['losses', 'tell'])
    """
    return {word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)}


def public_names(path: Path) -> Iterator[str]:
    """Of a module: its own, and those of its classes, functions, methods, fields and constants."""
    yield path.stem
    yield from _names(ast.parse(path.read_text()).body)


def _names(body: list[ast.stmt]) -> Iterator[str]:
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                yield from _names(node.body)
        elif isinstance(node, ast.AnnAssign | ast.Assign):
            targets = [node.target] if isinstance(node, ast.AnnAssign) else node.targets
            yield from (target.id for target in targets if isinstance(target, ast.Name))


def test_no_public_name_has_a_word_that_the_glossary_replaces() -> None:
    assert len(banned()) >= 10
    modules = [ROOT / "settings.py", *(path for package in PACKAGES for path in sorted(package.rglob("*.py")))]
    found = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in modules
        for name in public_names(path)
        if not name.startswith("_") and name not in ALLOWED and words(name) & banned()
    ]
    assert found == []


def test_the_glossary_says_for_each_term_what_it_means_and_each_term_once() -> None:
    terms = [term for row in rows() for term in row[0].split(", ")]
    assert len(terms) == len(set(terms)) >= 50
    assert all(row[1] for row in rows())


AMBIGUOUS: Final = frozenset({"tell", "told", "away", "follow", "follower"})
"""Words that are right in some sentences: far away."""


def test_no_sentence_has_a_word_that_the_glossary_replaces() -> None:
    folders = [package.name for package in PACKAGES] + ["docs", "docker"]
    files = [
        path for name in folders for path in sorted((ROOT / name).rglob("*.*")) if path.suffix in (".py", ".md", ".sh")
    ]
    word = re.compile(rf"\b({'|'.join(sorted(banned() - AMBIGUOUS))})\b", re.IGNORECASE)
    found = [
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for path in [*ROOT.glob("*.md"), ROOT / "Makefile", ROOT / "settings.py", *files]
        if path != GLOSSARY and "results" not in path.parts
        for line in path.read_text().splitlines()
        if word.search(line)
    ]
    assert found == []
