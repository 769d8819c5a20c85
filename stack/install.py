"""Installs a lock in `.venv`: `python3 stack/install.py requirements.lock`, by any Python 3.11 or newer, without libraries.

uv does in 20 seconds what takes pip 100. Where uv is not to be had, pip installs the same files, with the same hashes.
"""

import re
import shutil
import subprocess
import sys
import venv
from pathlib import Path
from typing import Final

ENVIRONMENT: Final = Path(".venv")
UV: Final = Path(__file__).with_name("uv.txt")


class InstallError(Exception):
    """Why nothing can be installed."""


def main(lock: Path) -> None:
    """Make the environment if there is none, and install every library of the lock in it, without removing any other."""
    print(f"Installing the libraries of {lock} in {ENVIRONMENT} …", flush=True)
    python = _environment()
    pip = [python, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--require-hashes"]
    uv = ENVIRONMENT / "bin" / "uv"
    if _run([*pip, "-r", str(UV)], quiet=True) and _run([str(uv), "--version"], quiet=True):
        quiet = [] if sys.stderr.isatty() else ["--quiet"]
        command = [str(uv), "pip", "install", *quiet, "--python", python, "--require-hashes", "-r", str(lock)]
    else:
        print("uv is not to be had for this machine: pip installs the libraries, which takes some minutes.", flush=True)
        command = [*pip, "-r", str(lock)]
    if not _run(command):
        raise InstallError(f"The libraries of {lock} could not be installed: see above.")


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


def _run(command: list[str], quiet: bool = False) -> bool:
    """Whether the command could be run, and did what it should."""
    to = subprocess.DEVNULL if quiet else None
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
        main(Path(sys.argv[1]))
    except InstallError as error:
        sys.exit(str(error))
