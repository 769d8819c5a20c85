"""What is sent to a cluster's executors is all that their Python workers import, and they find it."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from jobs.runtime.local_copies import copies_of
from jobs.runtime.shipped_code import SHIPPED, code_as_zip, configuration, write_zip

IMPORTED = """
import sys
from pathlib import Path
import jobs.worker_daemon
ours = {module for module in sys.modules if module.split(".")[0] in %r}
print(*sorted(str(Path(sys.modules[name].__file__).resolve()) for name in ours), sep="\\n")
""" % [name.removesuffix(".py") for name in (*SHIPPED, "stack", "generator", "demo", "scorecard", "torture", "bench")]


@pytest.fixture
def code(tmp_path: Path) -> Path:
    """The packages that are shipped, in a small root of its own, each with one module."""
    root = tmp_path / "root"
    for name in SHIPPED:
        path = root / name if name.endswith(".py") else root / name / "__init__.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f'"""{name}"""\n')
    return root


def test_a_python_worker_needs_nothing_but_the_zip(tmp_path: Path) -> None:
    with zipfile.ZipFile(write_zip(tmp_path)) as archive:
        archive.extractall(tmp_path / "unpacked")
    environment = {**os.environ, "PYTHONPATH": "unpacked", "NUMBA_DISABLE_JIT": "1"}
    done = subprocess.run(
        [sys.executable, "-c", IMPORTED], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    modules = done.stdout.split()
    assert len(modules) > 30
    assert all(module.startswith(str(tmp_path / "unpacked")) for module in modules), modules


def test_the_same_files_make_the_same_bytes(code: Path, tmp_path: Path) -> None:
    other = shutil.copytree(code, tmp_path / "other")
    os.utime(other / "settings.py", (0, 0))
    (other / "ml" / "__pycache__").mkdir()
    (other / "ml" / "__pycache__" / "x.pyc").write_bytes(b"compiled")
    (other / "ml" / "__init__.py").chmod(0o600)
    assert code_as_zip(code) == code_as_zip(other)


def test_changed_code_is_another_file_and_the_one_in_use_stays(code: Path, tmp_path: Path) -> None:
    first = write_zip(tmp_path / "shipped", code)
    assert write_zip(tmp_path / "shipped", code) == first
    (code / "settings.py").write_text("changed = True\n")
    second = write_zip(tmp_path / "shipped", code)
    assert sorted((tmp_path / "shipped").iterdir()) == sorted({first, second})


def test_each_zip_is_unpacked_in_the_executors_folder_and_stands_on_its_path() -> None:
    given = {
        "spark.submit.pyFiles": "hdfs://host/a%20b/scoreline.zip,/tmp/one.py,/tmp/my folder/other.zip",
        "spark.archives": "/tmp/environment.tar.gz#environment",
        "spark.executorEnv.PYTHONPATH": "/opt/own",
    }
    assert configuration(given) == {
        "spark.archives": "/tmp/environment.tar.gz#environment,hdfs://host/a%20b/scoreline.zip#code-scoreline"
        ",file:///tmp/my%20folder/other.zip#code-other",
        "spark.executorEnv.PYTHONPATH": "code-scoreline:code-other:/opt/own",
    }


def test_where_the_code_is_installed_on_the_executors_nothing_is_added() -> None:
    assert configuration({"spark.submit.pyFiles": "", "spark.master": "yarn"}) == {}


def test_executors_on_one_machine_have_copies_of_the_state_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for folders in (
        "/tmp/spark-1/executor-1/blockmgr-1,/data/spark-1/blockmgr-1",
        "/tmp/spark-1/executor-2/blockmgr-2",
    ):
        monkeypatch.setenv("SPARK_LOCAL_DIRS", folders)
        found.append(copies_of("run").parents[1])
    assert found == [Path("/tmp/spark-1/executor-1/blockmgr-1"), Path("/tmp/spark-1/executor-2/blockmgr-2")]
