"""What `scoreline quality` says of each model, of all days together, as JSON on standard output: a process beside the page."""

import sys

import duckdb
import msgspec
from deltalake.exceptions import DeltaError

from lake.live_quality import live_quality
from lake.maintenance import one_line
from lake.place import LakeUnusable, Place
from settings import Settings


def main() -> None:
    """Print it. A lake that can't be read is one line on standard error, and exit status 1."""
    settings = Settings.from_command_line([])
    try:
        rows = live_quality(Place(settings.lake or ""), settings.review_share)
    except (duckdb.Error, DeltaError, LakeUnusable, OSError) as error:
        sys.exit(f"the lake can't be read: {one_line(error)}")
    sys.stdout.buffer.write(msgspec.json.encode([row for row in rows if row.day is None]))


if __name__ == "__main__":
    main()
