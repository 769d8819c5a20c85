"""Damaged files beside a checkpoint: the query ends with the name of the file and what to do, and does not try for ever."""

import zlib
from pathlib import Path
from typing import Any

import pytest

from detection.errors import CheckpointIncomplete
from jobs import checkpoint_settings, thresholds
from jobs.checkpoint_settings import hold_frozen
from jobs.runtime.gate import Gate
from jobs.runtime.storage import DurableFolder
from jobs.runtime.supervisor import Supervisor
from jobs.source.input_topics import recorded_ids
from jobs.tag_values import TagValues
from settings import Settings

DAMAGED = [b"", b"{", b"\xff\xfe", b"7", b"\0" * 30]


@pytest.mark.parametrize("content", DAMAGED)
def test_frozen_settings_that_are_damaged_are_named(tmp_path: Path, content: bytes) -> None:
    folder = DurableFolder.on_disk(tmp_path)
    hold_frozen(Settings(), folder)
    (tmp_path / checkpoint_settings._NAME).write_bytes(content)
    with pytest.raises(CheckpointIncomplete, match=r"file settings/.* is damaged"):
        hold_frozen(Settings(), folder)


@pytest.mark.parametrize("content", DAMAGED)
def test_ids_of_topics_that_are_damaged_are_named(tmp_path: Path, content: bytes) -> None:
    folder = DurableFolder.on_disk(tmp_path)
    assert recorded_ids(folder, "detect") == {}
    folder.write_newest("detect", content)
    with pytest.raises(CheckpointIncomplete, match="file topics/detect is damaged"):
        recorded_ids(folder, "detect")


@pytest.mark.parametrize("content", DAMAGED)
def test_tag_values_that_are_damaged_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    folder = DurableFolder.on_disk(tmp_path)
    folder.write_newest("values", content)
    monkeypatch.setattr("jobs.tag_values.DurableFolder", lambda *_: folder)
    spark: Any = None  # the folder needs none
    with pytest.raises(CheckpointIncomplete, match="file tags/values is damaged"):
        TagValues(spark, "nowhere")


@pytest.mark.parametrize("content", [*DAMAGED, *map(zlib.compress, DAMAGED)])
def test_counts_of_scores_that_are_damaged_are_named(content: bytes) -> None:
    with pytest.raises(CheckpointIncomplete, match="file thresholds-state/state is damaged"):
        thresholds.decoded(content, "thresholds-state/state", thresholds._unpacked)


def test_a_query_whose_checkpoint_is_damaged_ends_instead_of_trying_for_ever(caplog: pytest.LogCaptureFixture) -> None:
    tried: list[int] = []

    def start(*_: object) -> None:
        tried.append(1)
        assert len(tried) < 3, "it tried again"
        raise CheckpointIncomplete("the checkpoint's file ledger/0.json is damaged")

    starters: Any = {"detect": start}
    ending: Any = Ending()
    supervisor = Supervisor(Settings(), starters, {}, Gate(), ending)
    supervisor._started.add("detect")
    supervisor._trouble["detect"] = trouble = Trouble()  # type: ignore[assignment]
    supervisor._keep(Spark(), "detect")  # type: ignore[arg-type]
    assert tried == [1]
    assert trouble.fatal_text == str(supervisor._fatal) == "the checkpoint's file ledger/0.json is damaged"
    assert "ledger/0.json is damaged" in caplog.text


class Ending:
    """Ends nothing."""

    def fatal(self) -> None: ...


class Trouble:
    """Keeps what it is told."""

    fatal_text = ""

    def fatal(self, fatal: Exception) -> None:
        self.fatal_text = str(fatal)

    def failed(self, error: Exception) -> float:
        raise AssertionError(f"it would try again after {error}")

    def stopped(self) -> None: ...


class Spark:
    """Has a context that takes properties."""

    @property
    def sparkContext(self) -> "Spark":
        return self

    def setLocalProperty(self, *_: object) -> None: ...
