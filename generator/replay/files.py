"""Which files can be data sets, and what to do about those that can't."""

from pathlib import Path
from typing import Final

from generator.replay.errors import ReplayError

KINDS: Final = (".csv", ".parquet")
_UTF_16: Final = (b"\xff\xfe", b"\xfe\xff")
_PACKED: Final = {
    b"\x1f\x8b": ("gzip", "gunzip --keep"),
    b"PK\x03\x04": ("zip", "unzip"),
    b"\x28\xb5\x2f\xfd": ("zstd", "unzstd"),
    b"\xfd7zX": ("xz", "unxz --keep"),
    b"BZh": ("bzip2", "bunzip2 --keep"),
}


def refuse_unusable(file: Path) -> None:
    """Raises ReplayError, with what to do, where a path can't be a data set: a folder, a packed or an empty file, no file."""
    if file.is_dir():
        raise ReplayError(_of_folder(file))
    if not file.is_file():
        raise ReplayError(f"there is no file {file}")
    with file.open("rb") as stream:
        begin = stream.read(4)
    for magic, (name, command) in _PACKED.items():
        if begin.startswith(magic):
            raise ReplayError(f"{file} is packed by {name}: unpack it with `{command} {file}`, and name what comes out")
    if begin.startswith(_UTF_16):
        raise ReplayError(
            f"{file} is in UTF-16: bring it into UTF-8 with `iconv -f UTF-16 -t UTF-8`, and name what comes out"
        )
    if file.suffix.lower() not in KINDS:
        raise ReplayError(f"a data set has to be a .csv or .parquet file, but is {file}: unpack or rename it")
    if not begin:
        raise ReplayError(f"{file} is empty (0 bytes): was it written to its end?")


def _of_folder(folder: Path) -> str:
    parts = sorted(path.name for path in folder.rglob("*") if path.suffix.lower() in KINDS)
    if not parts:
        return f"a data set has to be a .csv or .parquet file, but {folder} is a folder without one"
    if len(parts) == 1:
        return f"a data set has to be a file, but {folder} is a folder: name the file in it, {parts[0]}"
    by = "a folder that Spark wrote" if (folder / "_SUCCESS").exists() or parts[0].startswith("part-") else "a folder"
    return (
        f"a data set has to be one file, but {folder} is {by} of {len(parts):,} files: have Spark write one "
        "(df.coalesce(1).sort(TIME).write…), or bring them into one as docs/replay.md shows, and name that file"
    )
