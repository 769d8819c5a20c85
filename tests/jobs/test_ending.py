"""An application that ends takes its workers with it, also those that have just begun."""

import subprocess
import sys
from pathlib import Path

import psutil

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
