"""On a standalone cluster of real processes, of which some are killed, each record is judged as by one fold."""

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import psutil
import pytest

from ml.registry.model_store import ModelStore
from settings import Settings
from tests.integration.application import ROOT, Application
from tests.integration.cluster import Cluster, Worker, newest_commit, on_cluster, wait_for_executor
from tests.integration.traffic import messages, send, traffic
from torture.audit import audit, ends_of
from torture.batches import LedgerWatch
from torture.checkpoint import reached

MARKER: Final = "--py-files scoreline.zip"
"""By this the lines that a person enters are found in the documents."""


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    with Cluster(tmp_path / "cluster") as running:
        yield running


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_executors_and_workers_that_are_killed_cost_no_judgement(
    settings: Settings,
    registry: ModelStore,
    cluster: Cluster,
    start: Callable[..., Application],
    tmp_path: Path,
) -> None:
    settings = on_cluster(settings)
    workers = [cluster.add_worker(), cluster.add_worker()]
    sent = messages(traffic(12_000, customers=300, seed=5, hot=10))
    bad = [(b"k", b"hello"), sent[2_990], (b"k", None)]
    with LedgerWatch(Path(settings.checkpoint) / "ledger") as watch:
        send(settings, [*sent[:3_000], *bad])
        application = start(settings, *cluster.flags())
        application.wait_until(lambda: newest_commit(settings) >= 2, "the first commits", 600)
        application.wait_until(lambda: all(copies_of(worker) for worker in workers), "work on both workers")
        at_work = [daemon for worker in workers for daemon in daemons_of(worker)]
        assert all(daemons_of(worker) for worker in workers)  # Spark forks one for each environment that it gives them
        for daemon in at_work:
            path = [Path(entry) for entry in daemon.environ()["PYTHONPATH"].split(os.pathsep)]
            of_the_checkout = [
                entry for entry in path if ROOT in (entry, *entry.parents) and ".venv" not in entry.parts
            ]
            assert not of_the_checkout, "an executor must not run what stands in the checkout"
        copies = {worker: copies_of(worker) for worker in workers}
        assert copies[workers[0]].isdisjoint(copies[workers[1]])

        send(settings, sent[3_000:6_000])
        registry.promote(2)
        [executor] = workers[0].executors()
        executor.kill()
        wait_for_executor(workers[0], executor.pid, application)
        application.wait_for_commit(newest_commit(settings) + 3)

        send(settings, sent[6_000:9_000])
        workers[1].kill()
        send(settings, sent[9_000:])
        cluster.add_worker()
        wait_for_all(application, settings)
        left = copies_of(workers[0])
        assert application.stop() == 0
    figures = audit(settings, watch.entries, registry, tmp_path)
    assert figures.right, figures
    assert (figures.records, figures.scored, figures.dead_letters) == (12_003, 12_000, 3)
    assert len({entry.model_version for entry in watch.entries}) == 2
    assert not watch.changed
    wait_until_gone(left)


def daemons_of(worker: Worker) -> list[psutil.Process]:
    """A worker's Python daemons, whose working folders are all below the worker's own."""
    found = worker.daemons()
    assert all(Path(daemon.cwd()).is_relative_to(worker.folder) for daemon in found)
    return found


def copies_of(worker: Worker) -> set[Path]:
    """The copies of the state that a worker's executors have on the disk."""
    scratch = {
        Path(folder)
        for daemon in daemons_of(worker)
        for folder in daemon.environ()["SPARK_LOCAL_DIRS"].split(",")
        if folder
    }
    return {about for folder in scratch for about in folder.glob("scoreline-state/*/*/about")}


def wait_until_gone(files: set[Path]) -> None:
    """Spark deletes what its executors had on the disk when their application has ended."""
    deadline = time.monotonic() + 60
    while there := [file for file in files if file.exists()]:
        assert time.monotonic() < deadline, f"left behind: {there}"
        time.sleep(0.5)


def wait_for_all(application: Application, settings: Settings) -> None:
    """Until all that was sent is judged and published."""
    checkpoint = Path(settings.checkpoint)
    ends = ends_of(settings, settings.transactions_topic)
    application.wait_until(lambda: reached(checkpoint / "detect", ends), "the end of the transactions", 400)
    out = ends_of(settings, settings.scores_topic, settings.invalid_topic)
    application.wait_until(lambda: reached(checkpoint / "publish", out), "the last point", 200)


def lines_by_hand() -> list[str]:
    """The commands of the documents that run the job on a cluster by hand."""
    for document in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        for block in document.read_text().split("```sh\n")[1:]:
            code = block.split("```")[0]
            if MARKER in code:
                return code.replace("\\\n", " ").splitlines()
    raise AssertionError(f"no document has {MARKER}")


@pytest.mark.long
@pytest.mark.timeout(900)
def test_the_lines_by_hand_run_on_a_cluster(
    settings: Settings, registry: ModelStore, cluster: Cluster, tmp_path: Path
) -> None:
    settings = on_cluster(settings)
    cluster.add_worker()
    send(settings, messages(traffic(2_000, customers=100, seed=6)))
    with LedgerWatch(Path(settings.checkpoint) / "ledger") as watch:
        job = ByHand(lines_by_hand(), tmp_path / "checkout", settings, cluster)
        try:
            job.wait_for_all()
        finally:
            job.end()
    figures = audit(settings, watch.entries, registry, tmp_path)
    assert figures.right, figures
    assert figures.scored == 2_000


@pytest.mark.long
@pytest.mark.timeout(900)
def test_executors_without_the_code_are_reported_in_words(settings: Settings, cluster: Cluster, tmp_path: Path) -> None:
    settings = on_cluster(settings)
    cluster.add_worker()
    send(settings, messages(traffic(10, customers=5, seed=6)))
    lines = [line.replace(MARKER, "") for line in lines_by_hand()]
    job = ByHand(lines, tmp_path / "checkout", settings, cluster)
    try:
        job.wait_until(lambda: "an executor's Python can't start what the job sends it" in job.output)
    finally:
        job.end()


class ByHand:
    """A shell that runs the lines, in a folder that looks like the checkout, with addresses of this machine."""

    def __init__(self, lines: list[str], folder: Path, settings: Settings, cluster: Cluster) -> None:
        self._settings = settings
        folder.mkdir()
        for path in ROOT.iterdir():
            if path.name not in (".scoreline", ".git"):
                (folder / path.name).symlink_to(path)
        *before, submit = lines
        for there, here in {
            "spark://master:7077": cluster.url,
            "broker:9092": settings.kafka_bootstrap_servers,
            "hdfs:///scoreline/checkpoint": settings.checkpoint,
        }.items():
            assert there in submit
            submit = submit.replace(there, here)
        self._output = settings.log_dir / "by-hand.log"
        settings.log_dir.mkdir(parents=True, exist_ok=True)
        named = {
            n: v
            for n, v in settings.environment().items()
            if n not in ("KAFKA_BOOTSTRAP_SERVERS", "SCORELINE_CHECKPOINT")
        }
        inherited = {n: v for n, v in os.environ.items() if not n.startswith(("PYTHON", "PYSPARK"))}
        with self._output.open("wb") as output:
            self._process = subprocess.Popen(
                ["bash", "-euc", "\n".join([*before, f"exec {submit}"])],
                cwd=folder,
                env=inherited | named | {"SPARK_LOCAL_IP": "127.0.0.1"},
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def output(self) -> str:
        """All that was written on its console."""
        return self._output.read_text(errors="replace")

    def wait_for_all(self) -> None:
        """Until all that was sent is judged and published."""
        checkpoint = Path(self._settings.checkpoint)
        transactions = ends_of(self._settings, self._settings.transactions_topic)
        self.wait_until(lambda: reached(checkpoint / "detect", transactions))
        scores = ends_of(self._settings, self._settings.scores_topic, self._settings.invalid_topic)
        self.wait_until(lambda: reached(checkpoint / "publish", scores))

    def wait_until(self, reached: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 400
        while not reached():
            assert self._process.poll() is None, self.output[-4_000:]
            assert time.monotonic() < deadline, self.output[-4_000:]
            time.sleep(0.3)

    def end(self) -> None:
        if self._process.poll() is None:
            self._process.terminate()
            self._process.wait(60)
