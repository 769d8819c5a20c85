"""Announcements of tables of profiles: ours are taken up, and whatever else stands on the topic is not."""

import os
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from detection.hadoop_uris import on_this_machine
from detection.profile_store import ProfileStore
from jobs.runtime.storage import DurableFolder
from messaging.config import KafkaConfig
from ml.features import DAY
from ml.features.profile_counts import transaction_counts
from ml.features.profile_file import write
from ml.features.profiles import Profiles
from ml.schema import Unreadable
from versions.profiles import Announcement, AnnouncementReader, From, ProfilePoller

NOW = 1_790_000_000_000.0
BLOCK = int(NOW) // 3_600_000
ABSENT = KafkaConfig("127.0.0.1:9")


def announcement(folder: Path, version: int) -> Announcement:
    """A table of one merchant, and what announces it."""
    table = Profiles.empty(BLOCK)
    one = np.ones(1, np.uint64)
    table.take_in(transaction_counts(one * version, one, np.array([BLOCK]), np.zeros((1, 27))))
    digest = write(table, folder / f"{version}.profiles")
    file = folder / f"{version}.profiles"
    size = file.stat().st_size
    return Announcement(version, BLOCK, 3_600, {"scores": {"0": 7}}, digest, str(folder), file.name, size, 2)


def poller(tmp_path: Path, found: list[Announcement]) -> ProfilePoller:
    """Of a checkpoint, with these announcements on the topic."""
    read = lambda folder, file: DurableFolder.on_disk(on_this_machine(folder)).read(file)  # noqa: E731
    made = ProfilePoller(From("t", ABSENT, "m", read), ProfileStore(DurableFolder.on_disk(tmp_path / "kept")))
    reader: Any = type("Reader", (), {"read": lambda self, seconds: found})()
    made._reader = reader
    return made


def test_the_newest_table_whose_file_is_whole_is_taken_up_and_kept(tmp_path: Path) -> None:
    first, second, third = (announcement(tmp_path, version) for version in (1, 2, 3))
    one = poller(tmp_path, [first])
    assert one.current() is None
    one.look()
    assert one.current() == first.name
    lost = msgspec.structs.replace(third, file="lost.profiles")
    other = msgspec.structs.replace(second, version=4)
    (tmp_path / "kept" / "5-zz.profiles").write_bytes(b"")
    two = poller(tmp_path, [second, lost, first])
    assert two.current() == first.name  # kept
    two.look()
    assert two.current() == second.name
    two = poller(tmp_path, [msgspec.structs.replace(other, digest="0" * 64)])
    two.look()
    assert two.current() == second.name
    assert poller(tmp_path, []).current() == second.name  # nothing of the other one stays
    assert one.in_use == "table 1 of profiles"


@pytest.mark.parametrize(
    ("folder", "file"), [("/dev", "zero"), ("file:///dev", "zero"), ("", "pipe"), ("", "1.profiles")]
)
def test_what_an_announcement_of_others_names_is_read_only_where_it_is_a_file_of_that_size(
    tmp_path: Path, folder: str, file: str
) -> None:
    """Neither for ever, nor until memory is full."""
    os.mkfifo(tmp_path / "pipe")
    ours, wrong = announcement(tmp_path, 1), {"folder": folder or str(tmp_path), "file": file, "size": 4_000}
    one = poller(tmp_path, [ours, msgspec.structs.replace(ours, version=7, **wrong)])
    one.look()
    assert one.current() == ours.name


@pytest.mark.parametrize(
    "changes",
    [
        {"version": 0},
        {"version": 2_000_000_000},
        {"block": BLOCK + 2 * DAY // 3_600_000},
        {"digest": "xyz"},
        {"file": "../../etc/passwd"},
        {"block_seconds": 0},
        {"offsets": 5},
    ],
)
def test_what_can_be_no_table_of_ours_is_left_out(tmp_path: Path, changes: dict[str, Any]) -> None:
    plain = msgspec.to_builtins(announcement(tmp_path, 1))
    reader = AnnouncementReader("t", ABSENT, "m")
    assert reader.record(msgspec.json.encode(plain), NOW).version == 1
    with pytest.raises(Unreadable):
        reader.record(msgspec.json.encode(plain | changes), NOW)
    for value in (None, b"", b"[]", b"\xff"):
        with pytest.raises(Unreadable):
            reader.record(value, NOW)
