"""The report beside a result: Markdown that shows its tables and pictures."""

from pathlib import Path

from bench.plots import draw
from bench.result import Result
from bench.tables import markdown


def write_report(result: Result, path: Path) -> Path:
    """Writes tables and pictures beside the result's JSON file; returns the Markdown file."""
    report = path.with_suffix(".md")
    pictures = draw(result, path.with_suffix(""))
    shown = "\n".join(f"![{picture.stem}]({picture.name})" for picture in pictures)
    report.write_text(markdown(result) + (f"\n{shown}\n" if shown else ""))
    return report
