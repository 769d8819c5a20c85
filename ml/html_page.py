"""A page as one HTML file that asks nothing of the network: a template, its style and Plotly."""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from plotly.offline import get_plotlyjs  # type: ignore[import-untyped]


def rendered(folder: Path, **content: object) -> str:
    """The template `page.html.j2` of a folder, with its `page.css` as `style`, Plotly as `plotly`, and this content."""
    templates = Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style = (folder / "page.css").read_text()
    return templates.get_template("page.html.j2").render(style=style, plotly=get_plotlyjs(), **content)
