"""The service's ledger: what judges from where on, durable before it judges."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from detection.decision import Decision
from detection.durable_folder import DurableFolder
from detection.errors import CheckpointIncomplete, VersionUnavailable
from detection.ledger import Entry, Ledger
from detection.ranges import Versions
from serving.errors import StateRefused
from serving.judge import Judge, ServiceLedger
from serving.startup import until_available
from tests.detection import recorded_log


def decision(versions: Versions) -> Decision:
    return Decision.from_table(versions, recorded_log.model(), None)


def ledger(path: Path) -> ServiceLedger:
    return ServiceLedger(DurableFolder.on_disk(path))


def test_a_record_is_judged_by_the_epoch_that_it_lies_in_also_after_a_restart(tmp_path: Path) -> None:
    newest = [Versions(1, model_digest="a")]
    judge = Judge(ledger(tmp_path), lambda: newest[0], decision)
    assert judge.current({0: 5, 1: 7}).versions.model == 1
    newest[0] = Versions(2, model_digest="b")
    assert judge.current({0: 10, 1: 7}).versions.model == 2
    for each in (judge, Judge(ledger(tmp_path), lambda: newest[0], decision)):
        found = [each.at(*place) for place in [(0, 4), (0, 5), (0, 9), (0, 10), (1, 6), (1, 7), (2, 0)]]
        assert [None if one is None else one.model for one in found] == [None, 1, 1, 2, None, 2, 2]


def test_the_same_versions_begin_no_new_epoch(tmp_path: Path) -> None:
    judge = Judge(ledger(tmp_path), lambda: Versions(1), decision)
    for offset in range(5):
        judge.current({0: offset})
    assert [epoch.start for epoch in ledger(tmp_path).epochs] == [{0: 0}]


def test_an_epoch_is_on_the_disk_when_its_decision_is_given(tmp_path: Path) -> None:
    judge = Judge(ledger(tmp_path), lambda: Versions(3), decision)
    judge.current({0: 42})
    assert [(epoch.versions.model, epoch.start) for epoch in ledger(tmp_path).epochs] == [(3, {0: 42})]


def test_where_the_newest_version_is_not_to_be_had_the_one_before_goes_on(tmp_path: Path) -> None:
    newest = [Versions(1, model_digest="a")]

    def load(versions: Versions) -> Decision:
        if versions.model == 2:
            raise VersionUnavailable("its file is gone")
        return decision(versions)

    judge = Judge(ledger(tmp_path), lambda: newest[0], load)
    judge.current({0: 5})
    newest[0] = Versions(2, model_digest="b")
    assert judge.current({0: 10}).versions.model == 1
    assert judge.at(0, 10) == Versions(1, model_digest="a")
    newest[0] = Versions(3, model_digest="c")
    assert judge.current({0: 20}).versions.model == 3


def test_where_the_disk_is_full_the_version_before_goes_on_until_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    newest = [Versions(1, model_digest="a")]
    kept = ledger(tmp_path)
    judge = Judge(kept, lambda: newest[0], decision)
    judge.current({0: 5})
    newest[0] = Versions(2, model_digest="b")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(kept, "begin", full)
        assert judge.current({0: 10}).versions.model == 1
    assert judge.at(0, 10) == Versions(1, model_digest="a")
    assert judge.current({0: 20}).versions.model == 2
    assert judge.at(0, 19) == Versions(1, model_digest="a")


def test_who_only_asks_begins_no_epoch(tmp_path: Path) -> None:
    newest = [Versions(1, model_digest="a")]
    judge = Judge(ledger(tmp_path), lambda: newest[0], decision)
    assert judge.newest().versions.model == 1
    assert ledger(tmp_path).epochs == []
    judge.current({0: 5})
    newest[0] = Versions(2, model_digest="b")
    assert judge.newest().versions.model == 2
    assert judge.versions == Versions(1, model_digest="a")
    assert len(ledger(tmp_path).epochs) == 1


DAMAGED = [b"", b"{", b"\xff\xfe", b"7", b"\0" * 30, b'{"number":"x"}']


@pytest.mark.parametrize("content", DAMAGED)
def test_of_the_two_ledgers_each_says_which_file_is_damaged_and_what_to_do_about_its_own(
    tmp_path: Path, content: bytes
) -> None:
    """The job's is a part of a checkpoint, which a service has none of."""
    of_service, of_job = tmp_path / "service", tmp_path / "job"
    ledger(of_service).begin(Versions(1), {0: 0})
    Ledger(DurableFolder.on_disk(of_job)).record(Entry.from_versions(0, Versions(1), {"0": 0}, {"0": 5}))
    for folder in (of_service, of_job):
        (folder / "0.json").write_bytes(content)
    with pytest.raises(StateRefused) as service:
        ledger(of_service)
    with pytest.raises(CheckpointIncomplete) as job:
        Ledger(DurableFolder.on_disk(of_job)).entry(0)
    assert re.fullmatch(
        r"the file ledger/0\.json of --serve-state is damaged \(.+\): put the folder ledger back from a copy, or start with "
        "another --serve-state",
        str(service.value),
    )
    assert "checkpoint" not in str(service.value)
    assert re.search(
        r"file ledger/0\.json is damaged \(.+\): put the checkpoint back .* another --checkpoint", str(job.value)
    )


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda folder: (folder / "1.json").unlink(), r"ledger/1\.json of --serve-state is lost"),
        (lambda folder: (folder / "2.json").rename(folder / "3.json"), r"ledger/2\.json of --serve-state is lost"),
        (lambda folder: (folder / "2.json").replace(folder / "1.json"), r"ledger/1\.json .* is that of epoch 2"),
    ],
)
def test_an_epoch_that_is_lost_or_another_one_is_not_judged_by_its_neighbour(
    tmp_path: Path, spoil: Callable[[Path], object], words: str
) -> None:
    for number in range(3):
        ledger(tmp_path).begin(Versions(number + 1), {0: 10 * number})
    spoil(tmp_path)
    with pytest.raises(StateRefused, match=rf"{words}.*: put the folder ledger back"):
        ledger(tmp_path)


def test_what_is_damaged_is_not_waited_for() -> None:
    def step() -> None:
        tried.append(1)
        raise StateRefused("the file ledger/0.json is damaged")

    tried: list[int] = []
    with pytest.raises(StateRefused):
        until_available(step, lambda: len(tried) < 3, tried.append)  # type: ignore[arg-type]
    assert tried == [1]


def test_a_topic_that_was_made_again_has_no_past(tmp_path: Path) -> None:
    Judge(ledger(tmp_path), lambda: Versions(3), decision, "one").current({0: 0})
    assert Judge(ledger(tmp_path), lambda: Versions(3), decision, "two").at(0, 5) is None
