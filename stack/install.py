"""Installs a lock in `.venv`: `python3 stack/install.py requirements.lock`, by any Python 3.11 or newer, without libraries.

uv does in 20 seconds what takes pip 100. Where uv is not available, or cannot reach the index (it does not read pip's
configuration), pip installs the same files, with the same hashes. With `--build-influxdb` behind the lock, InfluxDB is built
in the meantime, in a process that outlives this one.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import venv
from pathlib import Path
from typing import Final

ENVIRONMENT: Final = Path(".venv")
ROOT: Final = Path(__file__).resolve().parents[1]
UV: Final = Path(__file__).with_name("uv.txt")
BUILDER_NEEDS: Final = ("filelock", "platformdirs")
"""All that `stack.influxd` imports."""


class InstallError(Exception):
    """Why nothing can be installed."""


def main(lock: Path, build_influxdb: bool) -> None:
    """Make the environment if there is none, and install every library of the lock in it, without removing any other."""
    print(f"Installing the libraries of {lock} in {ENVIRONMENT} …", flush=True)
    python = _environment()
    pip = [python, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--require-hashes", "-r"]
    uv = _uv(python, pip)
    if build_influxdb and "INFLUXDB_URL" not in os.environ:
        _start_building(python, uv or pip, lock)
    if uv and _run([*uv, str(lock)]):
        return
    print("Without uv, pip installs them, which takes some minutes …", flush=True)
    if not _run([*pip, str(lock)]):
        raise InstallError(f"The libraries of {lock} could not be installed: see above.")


def _uv(python: str, pip: list[str]) -> list[str] | None:
    """A command that installs the lock whose path is its last argument; None where uv is not available for this machine."""
    uv = str(ENVIRONMENT / "bin" / "uv")
    if not (_run([*pip, str(UV)], silent=True) and _run([uv, "--version"], silent=True)):
        return None
    quiet = [] if sys.stderr.isatty() else ["--quiet"]
    return [uv, "pip", "install", *quiet, "--python", python, "--require-hashes", "-r"]


def _start_building(python: str, install: list[str], lock: Path) -> None:
    """Start building InfluxDB, which takes two cores a minute, before the libraries that take the network half of one.

    Whoever needs InfluxDB then waits for it, and builds it again where this has failed.
    """
    with tempfile.NamedTemporaryFile("w", suffix=".lock") as few:
        few.write(requirements(lock.read_text(), *BUILDER_NEEDS))
        few.flush()
        if not _run([*install, few.name], silent=True):
            return
    nothing = subprocess.DEVNULL
    command = [str(Path(python).absolute()), "-m", "stack.influxd"]
    subprocess.Popen(command, cwd=ROOT, stdin=nothing, stdout=nothing, stderr=nothing, start_new_session=True)


def _environment() -> str:
    """The Python of the environment."""
    python = ENVIRONMENT / "bin" / "python"
    if not python.exists():
        try:
            venv.create(ENVIRONMENT, with_pip=True)
        except (subprocess.CalledProcessError, OSError) as error:
            shutil.rmtree(ENVIRONMENT, ignore_errors=True)
            raise InstallError(
                f"{sys.executable} cannot make virtual environments ({error}): install its venv module "
                "(Debian: apt install python3-venv)."
            ) from None
    return str(python)


def _run(command: list[str], silent: bool = False) -> bool:
    """Whether the command could be run, and did what it should."""
    to = subprocess.DEVNULL if silent else None
    try:
        return subprocess.run(command, stdin=subprocess.DEVNULL, stdout=to, stderr=to, check=False).returncode == 0
    except OSError:
        return False


def requirements(lock: str, *names: str) -> str:
    """Of a lock's text, what it says of some libraries, hashes included.

    >>> requirements("a==1 \\\\\\n    --hash=sha256:00\\nb==2 \\\\\\n    --hash=sha256:01\\n    # via a\\n", "a")
    'a==1 \\\\\\n    --hash=sha256:00\\n'
    """
    blocks = re.findall(r"^\S.*\n(?:[ \t].*\n)*", lock, re.MULTILINE)
    return "".join(block for block in blocks if block.split("==")[0] in names)


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]), "--build-influxdb" in sys.argv[2:])
    except InstallError as error:
        sys.exit(str(error))
