"""Where MLflow is away, that is known soon and said in words."""

import http.server
import json
import socket
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from ml.registry.model_store import ModelStore, RegistryError, RegistryUnavailable


def seconds_until_away(uri: str, words: str) -> float:
    begin = time.perf_counter()
    with pytest.raises(RegistryUnavailable, match=words):
        ModelStore(uri).champion()
    with pytest.raises(RegistryUnavailable, match="MLFLOW_TRACKING_URI"):
        ModelStore(uri).load(1)
    return time.perf_counter() - begin


def test_a_server_that_is_not_there_is_said_to_be_away_at_once() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        assert seconds_until_away(f"http://127.0.0.1:{taken.getsockname()[1]}", "no connection") < 10


def test_a_server_that_never_answers_is_given_up_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert seconds_until_away(f"http://127.0.0.1:{silent.getsockname()[1]}", "no answer in time|no connection") < 15


def serving(handler: type[http.server.BaseHTTPRequestHandler]) -> Iterator[str]:
    """The address of a server that answers by `handler`, until the test ends."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def failing_server() -> Iterator[str]:
    """A proxy, say, that has lost the MLflow behind it."""

    class Failing(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(502)

        def log_message(self, format: str, *args: object) -> None:
            pass

    yield from serving(Failing)


def test_a_server_that_fails_is_away(failing_server: str) -> None:
    assert seconds_until_away(failing_server, "502") < 15


@pytest.fixture
def dying_server() -> Iterator[str]:
    """A registry that knows where a model's files are, and is gone when they are asked for."""

    class Dying(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if "registered-models/get" in self.path:
                self.answer({"registered_model": {"name": "scoreline"}})
            elif "model-versions/get?" in self.path:
                self.answer({"model_version": {"name": "scoreline", "version": "1", "status": "READY"}})
            elif "get-download-uri" in self.path:
                self.answer({"artifact_uri": "mlflow-artifacts:/1/models/m-1/artifacts"})
            elif "?path=" in self.path:
                self.answer({"files": [{"path": "MLmodel", "is_dir": False, "file_size": 9}]})

        def answer(self, content: object) -> None:
            body = json.dumps(content).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    yield from serving(Dying)


def test_a_server_that_goes_away_in_the_middle_of_a_download_is_away_and_the_model_not_refused(
    dying_server: str,
) -> None:
    with pytest.raises(RegistryUnavailable, match="the files of version 1 are not available from mlflow-artifacts:/1"):
        ModelStore(dying_server).load(1)


def test_a_sqlite_file_that_can_not_be_opened_is_away(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").mkdir()
    with pytest.raises(
        RegistryUnavailable, match=r"can't be opened .unable to open database file.*MLFLOW_TRACKING_URI"
    ):
        ModelStore(f"sqlite:///{tmp_path / 'mlflow.db'}").champion()
    (tmp_path / "notes.txt").write_text("not a database, but long enough to look at" * 100)
    with pytest.raises(RegistryUnavailable, match="file is not a database"):
        ModelStore(f"sqlite:///{tmp_path / 'notes.txt'}").champion()


def written_by_another_release(folder: Path) -> str:
    file = folder / "newer.db"
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("create table alembic_version (version_num varchar(32))")
        connection.execute("insert into alembic_version values ('0123456789ab')")
        connection.execute("create table experiments (experiment_id integer)")
        connection.commit()
    return f"sqlite:///{file}"


GARBLED = b'{"model_version": {"name": "scoreline", "version": "1", "creation_timestamp": "yesterday"}}'


@pytest.fixture(params=[GARBLED, b"{}"], ids=["no numbers", "nothing"])
def garbling_server(request: pytest.FixtureRequest) -> Iterator[str]:
    """What answers as MLflow does, with numbers that are none."""
    content: bytes = request.param

    class Garbling(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:
            pass

    yield from serving(Garbling)


def test_whatever_a_registry_is_its_error_is_one_of_words_for_a_person(tmp_path: Path, garbling_server: str) -> None:
    for uri, words in (
        (written_by_another_release(tmp_path), "was written by another release of MLflow"),
        ("postgresql+asyncpg://me:secret@127.0.0.1:1/registry", "asyncpg"),
        ("postgresql://me:secret@127.0.0.1:1/registry", "does not answer .*refused"),
        (garbling_server, "gives an answer that can't be read|still being registered"),
    ):
        for ask in (ModelStore(uri).champion, partial(ModelStore(uri).load, 1)):
            with pytest.raises(RegistryError, match=words) as told:
                ask()
            assert "\n" not in str(told.value)
            assert "secret" not in str(told.value)


def test_a_server_that_asks_for_patience_is_not_waited_for() -> None:
    class Busy(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(429)
            self.send_header("Retry-After", "600")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    for uri in serving(Busy):
        assert seconds_until_away(uri, "does not answer") < 15
