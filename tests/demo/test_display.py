"""The picture of the live view: a file that shows what the view showed, on any machine."""

from pathlib import Path

from rich.console import Console

from demo.display import Display
from demo.story import Outcome
from tests.demo.test_view import BUSY


def test_the_picture_shows_what_was_shown_last_and_loads_nothing(tmp_path: Path) -> None:
    file = tmp_path / "pictures" / "view.svg"
    display = Display(Console(force_terminal=False), 60.0, ())
    display.save_picture(file)
    assert not file.exists()
    display.show(BUSY, "transactions are being scored", Outcome())
    display.save_picture(file)
    picture = file.read_text().replace("&#160;", " ")
    for words in (
        "transactions are being scored",
        "1,021,084",
        "precision",
        "card testing",
        "false alarm",
        "make demo",
    ):
        assert words in picture
    assert "url(http" not in picture
