"""How far the job's queries have come, from the files of their checkpoints."""

import json
from pathlib import Path

Ends = dict[str, dict[str, int]]
"""Topic → partition → offset that is next."""


def committed(query: Path) -> Ends:
    """Up to where a query has committed; nothing where it has not yet."""
    commits = [int(path.name) for path in (query / "commits").glob("*") if path.name.isdigit()]
    if not commits:
        return {}
    try:
        lines = (query / "offsets" / str(max(commits))).read_text().splitlines()
    except FileNotFoundError:
        return {}
    return dict(json.loads(lines[-1]))


def reached(query: Path, ends: Ends) -> bool:
    """Whether a query has committed all up to these ends."""
    there = committed(query)
    return all(
        there.get(topic, {}).get(partition, 0) >= end for topic, of in ends.items() for partition, end in of.items()
    )
