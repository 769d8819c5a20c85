"""Scoreline's code on a cluster: a zip of the packages that run there, and how an executor's Python workers find it."""

import hashlib
import io
import os
import re
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final
from urllib.parse import urlparse

ROOT: Final = Path(__file__).resolve().parents[2]

SHIPPED: Final = ("detection", "jobs", "lake", "messaging", "ml", "sinks", "versions", "settings.py")
"""What a Python worker of Spark may import of ours: packages, and one module."""

_EPOCH: Final = (1980, 1, 1, 0, 0, 0)
"""The earliest time that a zip can hold."""


LOOPBACK: Final = "127.0.0.1"
"""Where all that runs on this machine alone listens."""


def runs_here(master: str) -> bool:
    """Whether Spark's executors are threads of the driver.

    >>> runs_here("local[4]"), runs_here("local-cluster[2,1,1024]"), runs_here("spark://host:7077")
    (True, False, False)
    """
    return re.fullmatch(r"local(\[.*\])?", master) is not None


def code_as_zip(root: Path = ROOT) -> bytes:
    """The packages as a zip archive, of the same bytes for the same files."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(_files(root)):
            entry = zipfile.ZipInfo(path.relative_to(root).as_posix(), _EPOCH)
            entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
            archive.writestr(entry, path.read_bytes())
    return out.getvalue()


def _files(root: Path) -> Iterator[Path]:
    for name in SHIPPED:
        found = [root / name] if name.endswith(".py") else (root / name).rglob("*")
        yield from (path for path in found if path.is_file() and "__pycache__" not in path.parts)


def write_zip(folder: Path, root: Path = ROOT) -> Path:
    """Write the zip into a folder, where it is not there yet, and return its path.

    It is named by its content: executors that start later fetch the same code again, whatever was submitted meanwhile.
    """
    content = code_as_zip(root)
    path = folder.absolute() / f"scoreline-{hashlib.sha256(content).hexdigest()[:12]}.zip"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(f".{os.getpid()}")
        unfinished.write_bytes(content)
        unfinished.replace(path)
    return path


def configuration(given: Mapping[str, str]) -> dict[str, str]:
    """Spark properties by which the Python workers of a cluster's executors find the zips among its --py-files.

    given: what spark-submit says. Spark puts --py-files on a worker's path with its first task, which is too late for the
    daemon that forks the workers. So each zip is also an archive, which Spark unpacks in the executor's folder before
    anything starts there, and that folder is on the daemon's path. numba keeps what it compiles beside unpacked code, for
    as long as the executor's folder is there; of a zip it would keep it in the user's home, for each application again.
    """
    zips = [_as_uri(text) for text in given.get("spark.submit.pyFiles", "").split(",") if text.endswith(".zip")]
    named = {f"code-{Path(urlparse(uri).path).stem}": uri for uri in zips}
    archives = [uri for uri in given.get("spark.archives", "").split(",") if uri]
    paths = [path for path in given.get("spark.executorEnv.PYTHONPATH", "").split(":") if path]
    found = {
        "spark.archives": ",".join([*archives, *(f"{uri}#{name}" for name, uri in named.items())]),
        "spark.executorEnv.PYTHONPATH": ":".join([*named, *paths]),
    }
    return {name: value for name, value in found.items() if value}


def _as_uri(text: str) -> str:
    return text if urlparse(text).scheme else Path(text).absolute().as_uri()
