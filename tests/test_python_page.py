"""What docs/python.md shows runs, block after block, as a reader would type it."""

import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[1] / "docs" / "python.md"


def blocks() -> list[tuple[int, str]]:
    """(line, source) of each Python block."""
    text = PAGE.read_text()
    found = re.finditer(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return [(text.count("\n", 0, block.start(1)) + 1, block[1]) for block in found]


@pytest.mark.slow
def test_every_block_of_the_python_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"__name__": "__main__"}
    assert len(blocks()) >= 7
    for line, source in blocks():
        # Line numbers of a failure are those of the page.
        exec(compile("\n" * (line - 1) + source, str(PAGE), "exec"), names)
