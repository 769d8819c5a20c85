"""Points → a file of line protocol, for where there is no InfluxDB."""

from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Self

from filelock import FileLock


@dataclass
class PointsFileSink:
    """Appends to a file; several processes of one machine may share it.

    A retry appends the same points again. Loaded into InfluxDB they become one, since a point is known by measurement,
    tags and time; whoever counts lines must do the same.
    """

    path: Path

    def setup(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)

    def check(self) -> None:
        pass

    def write(self, lines: bytes) -> None:
        with FileLock(f"{self.path}.lock"), self.path.open("a+b") as file:
            # A process that was killed may have left half a line: what follows must not continue it.
            if file.tell() > 0 and not _ends_a_line(file):
                file.write(b"\n")
            file.write(lines)

    def close(self) -> None:
        pass

    def __enter__(self) -> Self:
        self.setup()
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def _ends_a_line(file: BinaryIO) -> bool:
    file.seek(-1, 2)
    return file.read(1) == b"\n"
