"""Tables of profiles on their way to the tasks: the file itself where it is on this machine, else a copy of it there."""

import os
from collections import OrderedDict
from pathlib import Path
from typing import Final, NamedTuple

from pyspark import Broadcast

from ml.features.profile_file import read
from ml.features.profiles import Profiles

_MAPPED: Final = 8

_mapped: OrderedDict[str, Profiles] = OrderedDict()


class SentProfiles(NamedTuple):
    """A table by its name. path: its file, where the machine of the driver has it; else content, the file itself."""

    name: str
    path: str | None
    content: "Broadcast[bytes] | None"

    @property
    def profiles(self) -> Profiles:
        """The table, in a task: mapped into memory, so that a machine has it in memory once, and a worker opens it once."""
        if self.name not in _mapped:
            # What is sent was checked where it is kept.
            _mapped[self.name] = read(self._file, mapped=True, checked=False)[0]
            if len(_mapped) > _MAPPED:
                _mapped.popitem(last=False)
        _mapped.move_to_end(self.name)
        return _mapped[self.name]

    @property
    def _file(self) -> Path:
        if self.path is not None:
            return Path(self.path)
        assert self.content is not None
        folder = Path(os.environ["SPARK_LOCAL_DIRS"].split(",")[0]) / "scoreline-profiles"
        place = folder / self.name
        if not place.exists():  # the first worker of the machine that needs it writes it
            folder.mkdir(parents=True, exist_ok=True)
            unfinished = folder / f".{self.name}.{os.getpid()}"
            unfinished.write_bytes(self.content.value)
            unfinished.replace(place)
        return place
