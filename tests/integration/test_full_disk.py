"""The disk of the checkpoint is really full, under the running application and at a start."""

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from ml.model import Model
from settings import Settings
from tests.integration.application import Application, status_of
from tests.integration.traffic import judged, judgement, messages, scores, send, traffic
from tests.support.kafka import count_records, read_topic

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]

Start = Callable[..., Application]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 48 MB, in memory."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=48m", "scoreline", place], check=False)
    if mounted.returncode:
        pytest.skip("only root may mount a file system")
    yield place
    subprocess.run(["umount", "--lazy", place], check=True)


@contextmanager
def full(disk: Path) -> Iterator[None]:
    """While inside, not one more byte fits."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (1 << 20, 4096, 1):
            with suppress(OSError):
                while True:
                    file.write(b"x" * size)
    assert os.statvfs(disk).f_bavail == 0
    try:
        yield
    finally:
        filler.unlink()


def test_a_full_disk_is_named_and_detection_goes_on_when_there_is_room(
    settings: Settings, models: list[Model], start: Start, small_disk: Path
) -> None:
    update = {"checkpoint": str(small_disk / "checkpoint"), "max_offsets_per_trigger": 300, "publish": False}
    settings = settings.model_copy(update=update)

    def scored(count: int) -> Callable[[], bool]:
        return lambda: count_records(settings.kafka_bootstrap_servers, settings.scores_topic) >= count

    whole = messages(traffic(3_000, customers=200, seed=91))
    application = start(settings)
    send(settings, whole[:1_000])
    application.wait_until(scored(1_000), "the first scores")
    application.wait_for_commit(3)
    with full(small_disk):
        send(settings, whole[1_000:2_000])
        application.wait_until(lambda: "a disk is full" in application.output, "that the disk is full", 120)
        status, said = status_of(settings)
        assert status == 1, said
    application.wait_until(scored(2_000), "what came meanwhile")
    with full(small_disk):
        send(settings, whole[2_000:])
        application.kill()
        already = application.output.count("a disk is full")
        second = start(settings)
        second.wait_until(lambda: second.output.count("a disk is full") > already, "that the disk is full", 120)
    second.wait_until(scored(3_000), "all scores")
    second.wait_until(lambda: len(scores(settings)) == 3_000, "a score for each record")
    assert second.stop() == 0
    assert "Traceback" not in second.output
    expected = judged(read_topic(settings.kafka_bootstrap_servers, settings.transactions_topic), models[0])
    assert {place: judgement(score) for place, score in scores(settings).items()} == expected
