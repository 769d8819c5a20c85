"""What listens, and who may read what was written: of the job, the service, the page and the local servers while they run."""

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
import urllib3
from pydantic import SecretStr

from settings import Settings
from stack.local import Stack
from stack.server import HOST, free_port
from tests.integration.application import Application
from tests.integration.service import Service
from tests.integration.traffic import messages, send, traffic

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]

SECRET = "marked-Secret-7"  # pragma: allowlist secret


def family(pid: int) -> list[psutil.Process]:
    process = psutil.Process(pid)
    return [process, *process.children(recursive=True)]


def listening(pid: int) -> set[str]:
    """The addresses on which a process or one that it started accepts connections."""
    found = [one for process in family(pid) for one in process.net_connections("inet")]
    assert not [one for one in found if one.type.name == "SOCK_DGRAM" and not one.raddr and one.laddr.ip != HOST]
    return {one.laddr.ip for one in found if one.status == psutil.CONN_LISTEN}


def others_may_read(folder: Path) -> Iterator[Path]:
    """What is in the folder and is open to others than its owner, by its own mode."""
    for path in [folder, *folder.rglob("*")]:
        if not path.is_symlink() and path.exists() and stat.S_IMODE(path.stat().st_mode) & 0o077:
            yield path


def test_all_listen_on_the_loopback_alone_and_what_they_write_is_their_owner_s(
    settings: Settings, stack: Stack, start: Callable[..., Application], tmp_path: Path
) -> None:
    page = free_port()
    secretive = settings.model_copy(
        update={
            "checkpoint": str(tmp_path / "data" / "checkpoint"),
            "log_dir": tmp_path / "data" / "logs",
            "influxdb_token": SecretStr(SECRET),
            "serve_page": True,
            "page_port": 0,
            "page_data": tmp_path / "data" / "page",
        }
    )
    send(secretive, messages(traffic(500, customers=50, seed=94)))
    old = os.umask(0o022)
    try:
        job = start(secretive, "--conf", "spark.ui.enabled=true", "--conf", f"spark.ui.port={page}")
        service = Service(secretive, tmp_path / "service")
    finally:
        os.umask(old)
    with service:
        job.wait_for_commit()
        service.wait_until_ready()
        job.wait_until(lambda: "The page is at" in service.output.read_text(), "the page's address")
        for pid in (job.pid, service.process.pid, *(server.pid for server in (stack.kafka, stack.influxdb))):
            assert pid is not None
            assert listening(pid) <= {HOST, "::ffff:127.0.0.1"}, psutil.Process(pid).cmdline()
        for pid in (job.pid, service.process.pid):
            assert not any(SECRET in word for one in family(pid) for word in one.cmdline())
        answer = urllib3.request("GET", f"http://{HOST}:{page}/jobs/", timeout=30)
        assert answer.status == 200
        assert b"(kill)" not in answer.data
    for folder in (tmp_path / "data", tmp_path / "service" / "serving", tmp_path / "service" / "logs"):
        assert [*folder.rglob("*")]
        theirs = [str(path) for path in others_may_read(folder) if path.name not in ("console.log", "logs", "data")]
        assert theirs == []
