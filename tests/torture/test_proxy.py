"""The proxy passes on what comes, until its connections are cut or held."""

import socket
import threading
from collections.abc import Iterator

import pytest

from torture.proxy import HOST, Proxy


@pytest.fixture
def echo() -> Iterator[int]:
    """The port of a server that sends back what it gets."""
    listener = socket.create_server((HOST, 0))

    def answer(connection: socket.socket) -> None:
        with connection:
            while content := connection.recv(65_536):
                connection.sendall(content)

    def accept() -> None:
        while True:
            try:
                threading.Thread(target=answer, args=(listener.accept()[0],), daemon=True).start()
            except OSError:
                return

    thread = threading.Thread(target=accept)
    thread.start()
    yield listener.getsockname()[1]
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join()


def connect(proxy: Proxy) -> socket.socket:
    client = socket.create_connection((HOST, proxy.port), 5)
    client.settimeout(5)
    return client


def read(client: socket.socket, size: int) -> bytes:
    content = b""
    while len(content) < size and (more := client.recv(size - len(content))):
        content += more
    return content


def test_what_is_sent_comes_back_through_the_proxy(echo: int) -> None:
    with Proxy(lambda: echo) as proxy, connect(proxy) as client:
        sender = threading.Thread(target=client.sendall, args=(bytes(1 << 20),))
        sender.start()
        assert read(client, 1 << 20) == bytes(1 << 20)
        sender.join()


def test_a_cut_ends_connections_and_new_ones_work(echo: int) -> None:
    with Proxy(lambda: echo) as proxy:
        with connect(proxy) as client:
            client.sendall(b"one")
            assert read(client, 3) == b"one"
            assert proxy.cut() == 1
            assert client.recv(10) == b""
        with connect(proxy) as client:
            client.sendall(b"two")
            assert read(client, 3) == b"two"


def test_what_is_held_passes_later(echo: int) -> None:
    with Proxy(lambda: echo) as proxy, connect(proxy) as client:
        proxy.hold()
        client.sendall(b"late")
        client.settimeout(0.3)
        with pytest.raises(TimeoutError):
            client.recv(10)
        client.settimeout(5)
        proxy.let_go()
        assert read(client, 4) == b"late"


def test_where_the_server_is_away_the_connection_ends(echo: int) -> None:  # noqa: ARG001
    with socket.create_server((HOST, 0)) as closed:
        nobody = closed.getsockname()[1]
    with Proxy(lambda: nobody) as proxy, connect(proxy) as client:
        assert client.recv(10) == b""
