"""The notebooks: committed without output, and when they run they end, draw, and warn of nothing."""

from base64 import b64decode
from io import BytesIO
from pathlib import Path

import nbformat
import pytest
from matplotlib.image import imread
from nbclient import NotebookClient
from nbformat import NotebookNode

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
NAMES = ("traffic", "alert")

LOOKING = nbformat.v4.new_code_cell("""
from matplotlib import pyplot

show = pyplot.show


def look_and_show():
    for number in pyplot.get_fignums():
        axes = [axis for axis in pyplot.figure(number).axes if axis.axison and axis.get_label() != "<colorbar>"]
        assert all(axis.get_title("left") for axis in axes), "each axis should have a title"
        assert any(axis.get_xlabel() for axis in axes), "what the horizontal axis is, and its unit, should be said"
        assert any(axis.get_ylabel() for axis in axes), "what the vertical axis is, and its unit, should be said"
    show()


pyplot.show = look_and_show
""")


def read(name: str) -> NotebookNode:
    notebook: NotebookNode = nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)
    return notebook


def code(notebook: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def run(name: str) -> NotebookNode:
    """The notebook with its outputs, run by a kernel in a process of its own; LOOKING goes before it."""
    notebook = read(name)
    notebook.cells.insert(0, LOOKING)
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(NOTEBOOKS)}}).execute()
    return notebook


def test_every_notebook_is_tested() -> None:
    assert {path.stem for path in NOTEBOOKS.glob("*.ipynb")} == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_no_output_is_committed(name: str) -> None:
    notebook = read(name)
    nbformat.validate(notebook)
    assert all(cell.outputs == [] and cell.execution_count is None for cell in code(notebook))


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_runs_and_every_picture_is_labelled_and_shows_something(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    cells = code(run(name))[1:]
    for cell in cells:
        pictures = [output.data["image/png"] for output in cell.outputs if "image/png" in output.get("data", {})]
        assert len(pictures) == cell.source.count("plt.show()"), cell.id
        for picture in pictures:
            assert imread(BytesIO(b64decode(picture))).std() > 0.05, cell.id
    assert sum("plt.show()" in cell.source for cell in cells) >= 5
    warned = [output.text for cell in cells for output in cell.outputs if output.get("name") == "stderr"]
    assert warned == []
    assert not list(tmp_path.rglob("*.parquet"))
