"""Prometheus' own programs, as Debian packages them: what tests ask whether names, rules and files are right."""

import shutil
import subprocess
from typing import Final

import pytest

PACKAGES: Final = {"prometheus": "prometheus", "promtool": "prometheus", "amtool": "prometheus-alertmanager"}


def program(name: str) -> str:
    """Where it is. Fails the test in one line where it is not installed."""
    found = shutil.which(name)
    if found is None:
        pytest.fail(f"{name} is missing: apt-get install {PACKAGES[name]}", pytrace=False)
    return found


def complaints(name: str, *arguments: str, text: str | bytes | None = None) -> str:
    """What a program says against something; nothing where it is right."""
    given = text.encode() if isinstance(text, str) else text
    done = subprocess.run([program(name), *arguments], input=given, capture_output=True, timeout=300, check=False)
    said = (done.stdout + done.stderr).decode()
    return said or f"{name} ended with {done.returncode}" if done.returncode else ""
