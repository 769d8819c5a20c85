"""The environment of a machine that has nothing but Python; here without a network, so without uv."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from importlib import metadata
from pathlib import Path

import pytest

from stack import install

ROOT = Path(__file__).parents[2]
UV = re.search(r"^uv==(\S+)", install.UV.read_text(), re.MULTILINE)[1]  # type: ignore[index]


def made_wheel(folder: Path) -> str:
    """A library of one module, as a wheel; returns the line of a lock for it."""
    folder.mkdir()
    path = folder / "greeting-1.0-py3-none-any.whl"
    about = "greeting-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr("greeting.py", "WORDS = 'good day'\n")
        wheel.writestr(f"{about}/METADATA", "Metadata-Version: 2.1\nName: greeting\nVersion: 1.0\n")
        wheel.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{about}/RECORD", "")
    return f"greeting==1.0 --hash=sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}\n"


def run(folder: Path, wheels: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "stack" / "install.py"), "its.lock"]
    offline = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(wheels), "PIP_CONFIG_FILE": os.devnull}
    return subprocess.run(
        command, cwd=folder, env=os.environ | offline, capture_output=True, text=True, timeout=120, check=False
    )


def test_where_uv_is_not_to_be_had_pip_installs_the_lock_and_checks_its_hashes(tmp_path: Path) -> None:
    lock = tmp_path / "its.lock"
    lock.write_text(made_wheel(tmp_path / "wheels"))
    done = run(tmp_path, tmp_path / "wheels")
    assert done.returncode == 0, done.stderr
    assert "Without uv, pip installs them" in done.stdout
    python = tmp_path / ".venv" / "bin" / "python"
    code = "import greeting; print(greeting.WORDS)"
    assert subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout == "good day\n"

    lock.write_text(lock.read_text()[:-3] + "00\n")
    subprocess.run([python, "-m", "pip", "uninstall", "--quiet", "--yes", "greeting"], check=True)
    refused = run(tmp_path, tmp_path / "wheels")
    assert refused.returncode == 1
    assert refused.stderr.splitlines()[-1] == "The libraries of its.lock could not be installed: see above."


def test_where_uv_does_not_get_through_pip_installs_the_lock(tmp_path: Path) -> None:
    """uv asks its own index alone, and there is no such library; pip is told where else to look."""
    (tmp_path / "its.lock").write_text(made_wheel(tmp_path / "wheels"))
    programs = tmp_path / ".venv" / "bin"
    install.venv.create(tmp_path / ".venv", with_pip=True)
    (programs / "uv").write_text('#!/bin/sh\ntest "$1" = --version\n')
    (programs / "uv").chmod(0o755)
    about = Path(sysconfig.get_path("purelib", vars={"base": str(tmp_path / ".venv")})) / f"uv-{UV}.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: uv\nVersion: {UV}\n")
    done = run(tmp_path, tmp_path / "wheels")
    assert done.returncode == 0, done.stderr
    assert "Without uv, pip installs them" in done.stdout
    subprocess.run([programs / "python", "-c", "import greeting"], check=True)


def test_a_python_that_cannot_make_environments_is_named_and_nothing_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def without_pip(folder: Path, with_pip: bool) -> None:
        (folder / "bin").mkdir(parents=True)
        raise subprocess.CalledProcessError(1, [sys.executable, "-m", "ensurepip"] * with_pip)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(install.venv, "create", without_pip)
    with pytest.raises(install.InstallError, match=r"cannot make virtual environments .*apt install python3-venv"):
        install.main(tmp_path / "its.lock", build_influxdb=False)
    assert list(tmp_path.iterdir()) == []


def test_what_the_builder_of_influxdb_needs_is_in_both_locks_and_is_all_that_it_imports(tmp_path: Path) -> None:
    for lock in ("requirements.lock", "requirements-dev.lock"):
        found = install.requirements((ROOT / lock).read_text(), *install.BUILDER_NEEDS)
        assert found.count("==") == len(install.BUILDER_NEEDS)
        assert found.count("--hash=") >= 2 * len(install.BUILDER_NEEDS)
    for name in install.BUILDER_NEEDS:
        shutil.copytree(Path(metadata.distribution(name).locate_file(name)), tmp_path / name)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])}
    command = [sys.executable, "-S", "-c", "import stack.influxd"]  # -S: without the libraries that are installed
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
