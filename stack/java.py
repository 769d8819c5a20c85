"""Finds the Java that Spark and Kafka run on."""

import os
import re
import shutil
import subprocess
from pathlib import Path

from stack.errors import StackError

OLDEST = 17
REMEDY = f"install a Java {OLDEST} or newer (a JRE is enough) and put its java on the PATH, or set JAVA_HOME"


def java() -> str:
    """Path of a Java of at least version 17, from JAVA_HOME or else the PATH, as Spark looks for it.

    Raises StackError when there is none, or an older one.
    """
    home = os.environ.get("JAVA_HOME")
    path = shutil.which("java", path=str(Path(home, "bin")) if home else None)
    if path is None:
        where = f"JAVA_HOME={home} has none" if home else "there is none on the PATH"
        raise StackError(f"Java {OLDEST} or newer is required, and {where}: {REMEDY}.")
    said = subprocess.run([path, "-version"], capture_output=True, text=True, check=False).stderr
    version = _major(said)
    if version is None or version < OLDEST:
        got = f"{path} is Java {version}" if version else f"{path} -version said {said.strip()!r}"
        raise StackError(f"Java {OLDEST} or newer is required, and {got}: {REMEDY}.")
    return path


def _major(version_text: str) -> int | None:
    """The feature release in what `java -version` prints.

    >>> _major('openjdk version "17.0.15" 2025-04-15'), _major('java version "1.8.0_402"'), _major("")
    (17, 8, None)
    """
    found = re.search(r'version "(?:1\.)?(\d+)', version_text)
    return int(found[1]) if found else None
