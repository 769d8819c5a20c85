"""An application that ends takes its workers with it, also those that have just begun."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pyspark
import pytest

ROOT = Path(__file__).parents[2]
JAVA = """
import subprocess, sys
worker = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)", "pyspark.worker"])
other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
print(worker.pid, other.pid, flush=True)
subprocess.Popen([sys.executable, "-c", sys.argv[1]]).wait()
"""
DRIVER = """
import os, signal
from types import SimpleNamespace as Some
from jobs.runtime.ending import Ending
from jobs.runtime.gate import Gate

end = lambda status: os.kill(java, signal.SIGKILL)
java = os.getppid()
handle = Some(current=lambda: Some(pid=lambda: java))
runtime = Some(getRuntime=lambda: Some(halt=end, exit=end))
lang = Some(ProcessHandle=handle, Runtime=runtime, System=Some(getProperty=lambda name: "client"))
getattr(Ending(Gate(), Some(java=Some(lang=lang))), "{how}")(0)
"""


def test_the_workers_end_with_java_and_nothing_else_does() -> None:
    for how in ("by_force", "finish"):
        command = [sys.executable, "-c", JAVA, DRIVER.format(how=how)]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as java:
            assert java.stdout is not None
            worker, other = (psutil.Process(int(pid)) for pid in java.stdout.readline().split())
            java.wait(30)
            java.stdout.close()
        worker.wait(10)
        assert other.is_running()
        other.kill()


SUBMITTED = """
from pyspark.java_gateway import launch_gateway
from jobs.runtime.ending import Ending
from jobs.runtime.gate import Gate

gateway, gate = launch_gateway(), Gate()
ending = Ending(gate, gateway.jvm)
ending.on_hurry(lambda: None)
ending.listen(gateway)
print("ready", flush=True)
gate.wait(120)
print("asked to end" if gate.closed else "not asked", flush=True)
raise SystemExit(ending.finish(0))
"""


@pytest.mark.long
@pytest.mark.parametrize("ignored", [False, True], ids=["a terminal", "nohup"])
def test_a_terminal_that_is_closed_ends_it_as_sigterm_does_and_not_under_nohup(tmp_path: Path, ignored: bool) -> None:
    """In a real Java, as spark-submit starts both; both get the signal."""
    script = tmp_path / "submitted.py"
    script.write_text(SUBMITTED)
    submit = Path(pyspark.__file__).parent / "bin" / "spark-submit"
    environment = os.environ | {"PYSPARK_PYTHON": sys.executable, "PYTHONPATH": str(ROOT)}
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN) if ignored else None
    try:
        program = subprocess.Popen(
            [str(submit), str(script)], env=environment, stdout=subprocess.PIPE, text=True, start_new_session=True
        )
    finally:
        if before is not None:
            signal.signal(signal.SIGHUP, before)
    try:
        assert program.stdout is not None
        assert program.stdout.readline() == "ready\n"
        os.killpg(program.pid, signal.SIGHUP)
        if ignored:
            with pytest.raises(subprocess.TimeoutExpired):
                program.wait(3)
            os.killpg(program.pid, signal.SIGTERM)
        assert program.wait(60) == 0
        assert program.stdout.read() == "asked to end\n"
    finally:
        program.stdout.close()  # type: ignore[union-attr]
        if program.poll() is None:
            os.killpg(program.pid, signal.SIGKILL)
            program.wait()
