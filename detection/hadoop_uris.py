"""What a path or a URI names on this machine, as Hadoop reads it: the job, and whoever looks at what the job wrote, agree."""

import re
from pathlib import Path


def named_folder(uri: str) -> Path | None:
    """The folder or file that a path or file URI names; None where that is on another file system.

    Hadoop decodes nothing: in a URI too, a percent sign, a question mark and a number sign stand for themselves.

    >>> str(named_folder("/data/a b")), str(named_folder("file:///data/a%20b#1")), named_folder("hdfs://cluster/a")
    ('/data/a b', '/data/a%20b#1', None)
    """
    found = re.fullmatch(r"(?:([^:/]*):)?(?://[^/]*)?(.*)", uri, re.DOTALL)
    assert found is not None  # any text fits
    return Path(found[2]) if found[1] in (None, "file") else None


def on_this_machine(uri: str) -> Path:
    """The same. Raises ValueError where it is on another file system."""
    found = named_folder(uri)
    if found is None:
        raise ValueError(f"has to be on this machine, but it is {uri!r}")
    return found
