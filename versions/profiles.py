"""Which table of profiles a micro-batch looks up in: announcements on a topic, and the files that they name."""

import logging
import stat
from collections.abc import Callable
from typing import Annotated, Final, NamedTuple

import msgspec
from msgspec import Meta

from detection.hadoop_uris import named_folder
from detection.profile_store import ProfileStore
from detection.table_files import Name
from messaging.config import KafkaConfig
from messaging.poller import Poller
from ml.features import DAY, SECOND
from ml.schema import DIGEST_DIGITS, Reader, Unreadable
from versions.compacted_topic import CompactedTopic, publish, refuse_impossible_version

_log = logging.getLogger(__name__)

_POLL_SECONDS: Final = 1.0
_PAUSE_SECONDS: Final = 0.1

ReadFile = Callable[[str, str], bytes | None]
"""The content of a file, of a folder (a path or a Hadoop URI) and a name; None where there is none. On a local disk it is
asked for a file of the announced size alone."""


class Announcement(msgspec.Struct, frozen=True):
    """A table of profiles, as JSON on the topic `profiles`.

    block: which it is as of, in blocks of so many seconds. offsets: by topic and partition, up to which its counts are of.
    digest: SHA-256 of its content. folder, file: where it is. size: bytes.
    """

    version: Annotated[int, Meta(gt=0, le=2**31 - 1)]
    block: int
    block_seconds: Annotated[int, Meta(gt=0)]
    offsets: dict[str, dict[str, int]]
    digest: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
    folder: str
    file: Annotated[str, Meta(pattern="^[^/]+$")]
    size: int
    entities: int

    @property
    def name(self) -> Name:
        """What the ledger calls it."""
        return Name(self.version, self.digest[:DIGEST_DIGITS])


_announcements: Final = Reader(Announcement)


class AnnouncementReader(CompactedTopic[Announcement]):
    """Reads the announcements of tables of profiles. A table's block was over, in event time, when it came."""

    def __init__(self, topic: str, kafka: KafkaConfig, key: str | None = None) -> None:
        super().__init__(topic, kafka, key, "tables of profiles")

    def record(self, value: bytes | None, came: float) -> Announcement:
        """See `CompactedTopic`."""
        announced = _announcements.read(value)
        refuse_impossible_version(announced.version, came)
        if announced.block * announced.block_seconds * SECOND > came + DAY:
            raise Unreadable(f"block {announced.block} of {announced.block_seconds} s can't have been over by then")
        return announced


def _refuse_other_file(announced: Announcement) -> None:
    """Raise LookupError for what is no file of the announced size: to read a pipe waits, to read a device does not end."""
    folder = named_folder(announced.folder)
    if folder is not None and (file := folder / announced.file).exists():
        status = file.stat()
        if not stat.S_ISREG(status.st_mode) or status.st_size != announced.size:
            raise LookupError(f"{file} is no file of {announced.size:,} bytes")


def announce(topic: str, kafka: KafkaConfig, key: str, announcement: Announcement) -> None:
    """Put an announcement on its topic; see `versions.compacted_topic.publish`. Raises KafkaError."""
    publish(topic, kafka, key, msgspec.json.encode(announcement))


class From(NamedTuple):
    """Where tables come from: the topic that announces them, the key of ours, and what reads their files."""

    topic: str
    kafka: KafkaConfig
    key: str
    read: ReadFile


class ProfilePoller(Poller):
    """The newest table that was announced and is kept; before one is read, the newest that is kept."""

    def __init__(self, source: From, kept: ProfileStore) -> None:
        super().__init__(f"the topic {source.topic}", _PAUSE_SECONDS)
        self._reader = AnnouncementReader(source.topic, source.kafka, source.key)
        self._read = source.read
        self._kept = kept
        self._current = self._newest_kept()

    def current(self) -> Name | None:
        """The table for a new micro-batch; None for none. Never waits."""
        return self._current

    @property
    def in_use(self) -> str:
        """See `Poller`."""
        return "no profiles" if self._current is None else f"table {self._current.version} of profiles"

    def look(self) -> None:
        """See `Poller`."""
        newer = [each for each in self._reader.read(_POLL_SECONDS) if self._is_newer(each)]
        for announced in sorted(newer, key=lambda each: each.version, reverse=True):
            if self._take(announced):
                return

    def _is_newer(self, announced: Announcement) -> bool:
        return self._current is None or announced.version > self._current.version

    def _take(self, announced: Announcement) -> bool:
        try:
            _refuse_other_file(announced)
            content = self._read(announced.folder, announced.file)
            if content is None:
                raise LookupError(f"there is no file {announced.file} in {announced.folder}")
            self._kept.keep(announced.name, content)
        except (LookupError, OSError) as error:
            _log.error(
                "table %d of profiles can't be used (%s); scoring goes on with %s",
                announced.version,
                error,
                self.in_use,
            )
            return False
        self._current = announced.name
        _log.info(
            "table %d of profiles, as of block %d, %d entities", announced.version, announced.block, announced.entities
        )
        return True

    def _newest_kept(self) -> Name | None:
        newest = self._kept.newest
        try:
            if newest is not None:
                self._kept.check(newest)
        except LookupError as error:
            _log.error("%s; until the next table comes, no profiles are looked up", error)
            return None
        return newest

    def _poll(self, wanted: Callable[[], bool]) -> None:
        try:
            super()._poll(wanted)
        finally:
            self._reader.close()
