"""Every program against Kafka and InfluxDB with TLS and a login: it works, and nothing shows a secret."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import urllib3
from pydantic import SecretStr

from demo.accounts import count_points
from messaging.topics import create_topics
from ml.model import Model
from settings import Settings
from stack.local import Stack
from stack.server import HOST, free_port
from tests.integration.application import Application
from tests.integration.secured import MARK, Program, command_lines, with_mark
from tests.integration.service import Service
from tests.notifications.receivers import hooks
from tests.support.rest_service import Said, rest_service

pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]

QUERIES = ("detect", "publish", "thresholds", "archive")
MAPPING = "name: desk\nevent_time: when\ntransaction_id: id\ncustomer_id: who\namount: amount\n"


@dataclass
class Secured:
    """Servers with TLS and a login whose password is marked, and the settings of all programs."""

    folder: Path
    stack: Stack
    settings: Settings

    def run(self, arguments: str) -> str:
        """What a command says that has to succeed."""
        program = Program(arguments, self.settings, self.folder / "work")
        assert program.wait() == 0, program.said()
        return program.said()

    def start(self, arguments: str, **more: str) -> Program:
        return Program(arguments, self.settings, self.folder / "work", more)


@pytest.fixture(scope="module")
def secured(registry_template: tuple[Path, list[Model]], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    folder = tmp_path_factory.mktemp("secured")
    (folder / "servers" / "security").mkdir(parents=True, mode=0o700)
    (folder / "servers" / "security" / "password").write_text(f"{MARK}-servers")
    shutil.copy(registry_template[0] / "mlflow.db", folder / "mlflow.db")
    with Stack(folder / "servers", secured=True) as stack:
        said = stack.environment() | {"MLFLOW_TRACKING_URI": f"sqlite:///{folder / 'mlflow.db'}"}
        settings = Settings(**{name.lower(): value for name, value in said.items()}).model_copy(
            update={
                "checkpoint": str(folder / "checkpoint"),
                "log_dir": folder / "logs",
                "lake": str(folder / "lake"),
                "lake_interval_seconds": 1.0,
                "publish_interval_seconds": 1.0,
                "adaptive_thresholds": True,
                "metrics_port": free_port(),
                "page_data": folder / "page",
                "page_port": free_port(),
                "serve_page": True,
                "watch_folder": folder / "watch",
                "notify_policy": folder / "policy.yaml",
                "notify_state": folder / "notify",
                "pull_authorization": SecretStr(f"Bearer {MARK}-pull"),
            }
        )
        create_topics(settings)
        yield Secured(folder, stack, settings)


def get(url: str) -> bytes:
    answer = urllib3.request("GET", url, timeout=30, retries=False)
    assert answer.status < 500, url
    return answer.data


def test_all_programs_work_with_secured_servers_and_nothing_shows_a_secret(
    secured: Secured, start: Callable[..., Application], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, settings, ui = secured.folder, secured.settings, free_port()
    monkeypatch.setenv("TMPDIR", str(folder))
    (folder / "mapping.yaml").write_text(MAPPING)
    page = [{"when": "2026-03-01T10:00:00Z", "id": "p1", "who": "c1", "amount": 5}]
    with hooks() as (hook, receiver), rest_service(lambda asked: Said(200, page)) as rest:
        (folder / "policy.yaml").write_text(
            "channels:\n  desk:\n    url: json://user:${HOOK}@" + receiver + "/desk\n"
            "routes:\n  - {name: all, match: 'true', channels: [desk]}\n"
        )
        job = start(settings, "--conf", "spark.ui.enabled=true", "--conf", f"spark.ui.port={ui}")
        service = Service(settings, folder / "service")
        beside = [
            secured.start("notifications --from-beginning", HOOK=f"{MARK}-hook"),
        ]
        try:
            secured.run(f"generator history --customers 200 --days 8 --seed 5 --out {folder}/history")
            secured.run(f"generator replay {folder}/history/transactions.parquet --format history --speed max")
            secured.run("generator send --rate 0 --count 500 --customers 1000")
            secured.run(f"generator pull {rest.url} --mapping {folder}/mapping.yaml --once")
            assert rest.asked[0]["authorization"] == f"Bearer {MARK}-pull"
            for query in QUERIES:
                commit = Path(settings.checkpoint) / query / "commits" / "0"
                job.wait_until(commit.exists, f"the first micro-batch of {query}")
            beside += [secured.start("watch"), secured.start("jobs submit --job profiles --metrics-port 0")]
            made = Path(settings.checkpoint) / "profiles" / "commits" / "0"
            job.wait_until(made.exists, "the first micro-batch of profiles")
            job.wait_until(lambda: count_points(settings, 0) > 500, "points in InfluxDB")
            assert hook.wait("/desk", seconds=120), beside[0].said()
            service.wait_until_ready()
            for command in (
                f"ml evaluate {folder}/history --scores scores --label-delay-days 1",
                "lake quality",
                "jobs status",
            ):
                secured.run(command)
            served = [get(f"http://{HOST}:{service.port}{path}") for path in ("/ready", "/metrics", "/openapi.json")]
            served += [
                get(f"http://{HOST}:{settings.metrics_port}/metrics"),
                get(f"http://{HOST}:{settings.page_port}/"),
            ]
            served += [get(f"http://{HOST}:{ui}/{path}/") for path in ("jobs", "environment", "SQL", "StreamingQuery")]
            served += [get(f"http://{HOST}:{ui}/SQL/execution/?id={number}") for number in range(4)]
            assert not [text[:200] for text in served if MARK.encode() in text]
            assert not [one.said() for one in beside if one.process.poll() is not None]
            running = [job.pid, service.process.pid, *(one.process.pid for one in beside)]
            servers = [server.pid for server in (secured.stack.kafka, secured.stack.influxdb)]
            assert not [line for line in command_lines([*running, *map(int, servers)]) if MARK in line]
            assert list(with_mark(folder, own_secret)) == []
        finally:
            for one in beside:
                one.end()
            service.__exit__(None, None, None)
        assert job.stop() == 0
    assert list(with_mark(folder, own_secret)) == []


def own_secret(path: Path) -> bool:
    """What holds the secrets for a server or a program to read them."""
    return path.parent.name in ("security", "secret-files") or path.name in ("server.properties", "users")
