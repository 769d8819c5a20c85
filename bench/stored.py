"""How much of the disk the customers' state takes, from the folders of a checkpoint."""

import json
import zipfile
from pathlib import Path

import pyarrow.parquet as pq

from bench.inputs import Input
from bench.result import StoredState
from ml.features import CUSTOMER


def stored_state(checkpoint: Path, made: Input) -> StoredState:
    """Of a job that has ended. Every customer of the history is in its state; those who are new since are not counted."""
    state = checkpoint / "detect" / "state"
    partitions = [path for path in state.glob("[0-9]*/[0-9]*") if path.is_dir()]
    return StoredState(
        customers=sum(pq.read_metadata(file).num_rows for file in made.state.glob("*.parquet")),
        record_bytes=CUSTOMER.itemsize,
        version_bytes=sum(newest_version_bytes(path) for path in partitions),
        state_bytes=folder_bytes(state),
        checkpoint_bytes=folder_bytes(checkpoint),
    )


def folder_bytes(folder: Path) -> int:
    """Bytes of all files in a folder, and in those within it."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def newest_version_bytes(partition: Path) -> int:
    """What a restart would read of one partition's state: RocksDB's newest snapshot, and the changelogs since."""
    snapshots = {_version(path): path for path in partition.rglob("*.zip")}
    newest = max(snapshots, default=-1)
    changes = sum(path.stat().st_size for path in partition.rglob("*.changelog") if _version(path) > newest)
    return changes + (_snapshot_bytes(snapshots[newest]) if snapshots else 0)


def _version(path: Path) -> int:
    """The version of a file such as 12.zip, or 12_<unique id>.zip."""
    return int(path.stem.split("_")[0])


def _snapshot_bytes(archive: Path) -> int:
    """The archive and the table files that it names."""
    with zipfile.ZipFile(archive) as content:
        text = content.read("metadata").decode()
    tables: list[dict[str, int]] = json.loads(text[text.index("{") :]).get("sstFiles", [])
    return archive.stat().st_size + sum(table["sizeBytes"] for table in tables)
