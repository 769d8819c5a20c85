"""Small files in a folder, each written whole or not at all, and durably."""

import os
import time
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Final, Protocol

from detection.storage import is_number

_UNFINISHED_SECONDS: Final = 3_600.0


class Files(Protocol):
    """The files of one folder."""

    def read(self, name: str) -> bytes | None:
        """The file's content, or None where there is no such file."""

    def write(self, name: str, content: bytes) -> None:
        """Write a file that is not there yet, whole or not at all, and durably."""

    def names(self) -> list[str]:
        """The files' names."""

    def delete(self, name: str) -> None:
        """Delete the file, if it is there."""


class DurableFolder:
    """A folder of small files. It is a `detection.storage.Storage`.

    What holds when `write` has returned: on a local disk the file and its name are on the disk (fsync), so that neither a
    crash of the process nor a loss of power loses them, as far as the disk itself can be trusted; elsewhere what the file
    system promises.
    """

    def __init__(self, files: Files) -> None:
        self._files = files

    @classmethod
    def on_disk(cls, path: Path, *, create: bool = True) -> "DurableFolder":
        """A folder on a local disk."""
        return DurableFolder(LocalFiles(path, create=create))

    @property
    def local(self) -> Path | None:
        """Where it is on a local disk; None where it is elsewhere."""
        return self._files.folder if isinstance(self._files, LocalFiles) else None

    def read(self, name: str) -> bytes | None:
        """The file's content, or None where there is no such file."""
        return self._files.read(name)

    def write(self, name: str, content: bytes) -> None:
        """Write a file that is not there yet, durably. Raises FileExistsError, or Hadoop's error, where it is there."""
        self._files.write(name, content)

    def read_newest(self, name: str) -> bytes | None:
        """What was last written by `write_newest`, or None."""
        numbers = self._numbers(name)
        return self.read(f"{name}.{numbers[-1]}") if numbers else None

    def write_newest(self, name: str, content: bytes) -> None:
        """Write a file under the next number, and delete those before it: not every file system replaces a file whole."""
        numbers = self._numbers(name)
        self.write(f"{name}.{numbers[-1] + 1 if numbers else 0}", content)
        for number in numbers:
            self.delete(f"{name}.{number}")

    def _numbers(self, name: str) -> list[int]:
        endings = [other.removeprefix(f"{name}.") for other in self.names() if other.startswith(f"{name}.")]
        return sorted(int(ending) for ending in endings if is_number(ending))

    def names(self) -> list[str]:
        """The files' names, hidden ones left out."""
        return [name for name in self._files.names() if not name.startswith(".")]

    def delete(self, name: str) -> None:
        """Delete the file, if it is there."""
        self._files.delete(name)


class LocalFiles:
    """On a local disk. Every write ends with the file, and its name in the folder, on the disk."""

    def __init__(self, folder: Path, *, create: bool = True) -> None:
        self.folder = folder
        if not create:
            return
        missing = [each for each in (folder, *folder.parents) if not each.exists()]
        folder.mkdir(parents=True, exist_ok=True)
        for made in missing:
            _sync(made.parent)
        self._delete_unfinished()

    def _delete_unfinished(self) -> None:
        """Delete what a killed process left half written; a younger file may be another process's at work."""
        for file in self.folder.glob(".*.tmp"):
            with suppress(FileNotFoundError):
                if time.time() - file.stat().st_mtime > _UNFINISHED_SECONDS:
                    file.unlink()

    def read(self, name: str) -> bytes | None:
        """See `Files`."""
        try:
            return (self.folder / name).read_bytes()
        except FileNotFoundError:
            return None

    def write(self, name: str, content: bytes) -> None:
        """See `Files`."""
        target = self.folder / name
        temporary = target.with_name(f".{target.name}.{uuid.uuid4().hex}.tmp")
        try:
            with temporary.open("xb") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
            _name(temporary, target)
        finally:
            temporary.unlink(missing_ok=True)
        _sync(target.parent)

    def names(self) -> list[str]:
        """See `Files`."""
        return [file.name for file in self.folder.iterdir()] if self.folder.exists() else []

    def delete(self, name: str) -> None:
        """See `Files`."""
        target = self.folder / name
        target.unlink(missing_ok=True)
        with suppress(FileNotFoundError):  # the checksum that Hadoop's own class may have put beside it
            target.with_name(f".{target.name}.crc").unlink()


def _name(temporary: Path, target: Path) -> None:
    """Give a file its name, unless there is one of this name; a rename would replace it."""
    try:
        os.link(temporary, target)
    except FileExistsError:
        raise
    except OSError:  # some file systems have no links
        if target.exists():
            raise FileExistsError(f"there is a file {target}") from None
        temporary.rename(target)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
