"""A TCP proxy between the job and a server, whose connections can be cut or made to hang."""

import contextlib
import socket
import threading
from collections.abc import Callable
from typing import Final, Self

HOST: Final = "127.0.0.1"
_BYTES: Final = 1 << 16
_CONNECT_SECONDS: Final = 5.0


class Proxy:
    """Passes on what comes to its port. Connections are made to `target()`, so that the server may move.

    As a context manager it listens until the end. What is in flight when connections are cut is lost, as on a real network.
    """

    def __init__(self, target: Callable[[], int]) -> None:
        self._target = target
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._flowing = threading.Event()
        self._flowing.set()
        self._listener = socket.create_server((HOST, 0), backlog=200)
        self.port: int = self._listener.getsockname()[1]

    def cut(self) -> int:
        """Close all connections at once; returns how many there were."""
        with self._lock:
            cut = list(self._open)
        for one in cut:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        return len(cut) // 2

    def hold(self) -> None:
        """From now on nothing passes, in either direction; connections stay, and new ones are accepted."""
        self._flowing.clear()

    def let_go(self) -> None:
        """What was held passes again."""
        self._flowing.set()

    def _listen(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return  # it was closed
            threading.Thread(target=self._connect, args=(client,), daemon=True).start()

    def _connect(self, client: socket.socket) -> None:
        self._flowing.wait()
        try:
            server = socket.create_connection((HOST, self._target()), _CONNECT_SECONDS)
        except OSError:
            client.close()
            return
        server.settimeout(None)
        for one in (client, server):
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self._lock:
            self._open |= {client, server}
        back = threading.Thread(target=self._pass_on, args=(server, client), daemon=True)
        back.start()
        self._pass_on(client, server)
        back.join()
        with self._lock:
            self._open -= {client, server}
        client.close()
        server.close()

    def _pass_on(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while content := source.recv(_BYTES):
                self._flowing.wait()
                target.sendall(content)
        for one in (source, target):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def __enter__(self) -> Self:
        threading.Thread(target=self._listen, daemon=True, name=f"proxy {self.port}").start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()
        self.let_go()
        self.cut()
