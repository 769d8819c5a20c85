"""All boards, and their files."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from grafana import live, pipeline, quality, service
from grafana.building import Board

FOLDER: Final = Path(__file__).parent / "dashboards"


def boards() -> list[Board]:
    """In the order in which a person meets them."""
    return [live.board(), quality.board(), pipeline.board(), service.board()]


def files() -> Iterator[tuple[Path, str]]:
    """Each board's file and what it holds."""
    for board in boards():
        text = json.dumps(board.build(), cls=JSONEncoder, indent=2, ensure_ascii=False)
        yield FOLDER / f"{board.file}.json", f"{text}\n"
