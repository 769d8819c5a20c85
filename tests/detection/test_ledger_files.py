"""The ledger on a disk: it stays small, and whatever step a crash cuts it off at, it reads right and contradicts nothing."""

import hashlib
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from detection import ledger as ledgers
from detection.durable_folder import DurableFolder
from detection.errors import CheckpointIncomplete
from detection.ledger import Entry, Ledger, Versions
from detection.threshold_store import ThresholdStore
from ml.schema import DIGEST_DIGITS
from ml.thresholds.table import Table


def entry(number: int, versions: Versions, size: int = 10) -> Entry:
    """A micro-batch that holds so many records of partition 0 and one of partition 1."""
    start, end = ({"0": size * n, "1": n} for n in (number, number + 1))
    return Entry.from_versions(number, versions, start, end)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger"


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of a tenth of the size, so that growth shows soon."""
    for name, value in {"_SINGLE": 10, "_AT_ONCE": 5, "_CHUNK": 20}.items():
        monkeypatch.setattr(ledgers, name, value)


def test_an_entry_is_found_by_micro_batch_and_by_record_also_after_old_ones_were_merged(path: Path) -> None:
    ledger = Ledger(DurableFolder.on_disk(path))
    assert ledger.entry(0) is None
    for n in range(401):
        ledger.record(entry(n, Versions(1) if n < 150 else Versions(2, 5)))
    for read in (ledger, Ledger(DurableFolder.on_disk(path))):
        assert read.entry(400) == entry(400, Versions(2, 5))
        assert read.entry(3) is None
        assert [read.versions_at(0, offset) for offset in (0, 1499, 1500, 4009, 4010)] == [
            *[Versions(1)] * 2,
            *[Versions(2, 5)] * 2,
            None,
        ]
        assert read.versions_at(1, 149) == Versions(1)
        assert [(piece.first_micro_batch, piece.last_micro_batch) for piece in read.pieces()] == [(0, 149), (150, 400)]
    assert len(list(path.glob("[!.]*"))) < 160


def test_the_ledger_stays_small_and_a_merge_costs_the_same_however_much_there_was(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A new version with each micro-batch, which is the most that can come, for 30,000 of them."""
    written: list[int] = []
    write = DurableFolder.write
    monkeypatch.setattr(DurableFolder, "write", lambda *a: (written.append(len(a[2])), write(*a))[1])
    monkeypatch.setattr("os.fsync", lambda _: None)  # it is the files that are counted here
    ledger = Ledger(DurableFolder.on_disk(path), kept=5_000)
    for n in range(30_000):
        ledger.record(entry(n, Versions(1, n, table_digest=f"{n:016x}")))
        if n == 10_000:
            most, files = max(written), len(list(path.iterdir()))
            written.clear()
    assert max(written) <= most * 1.05  # the numbers have grown a digit
    assert len(list(path.iterdir())) <= files + 50
    assert sum(file.stat().st_size for file in path.iterdir()) < 2_500_000
    pieces = Ledger(DurableFolder.on_disk(path)).pieces()
    assert 5_000 <= len(pieces) <= 7_200
    newest = [(piece.first_micro_batch, piece.versions.thresholds) for piece in pieces]
    assert newest == [(n, n) for n in range(30_000 - len(pieces), 30_000)]
    assert Ledger(DurableFolder.on_disk(path)).versions_at(0, 5) is None  # a replay judges it anew, and says so


class Crash(BaseException):
    """The process is gone."""


class Dying(DurableFolder):
    """A folder whose process dies at the n-th change of a file: before or after it."""

    def __init__(self, path: Path, changes: int, *, after: bool) -> None:
        self._files = DurableFolder.on_disk(path)._files
        self._left, self._after = changes, after

    def _counted(self, change: Callable[..., None], *arguments: object) -> None:
        self._left -= 1
        if self._left < 0 and not self._after:
            raise Crash
        change(*arguments)
        if self._left < 0:
            raise Crash

    def write(self, name: str, content: bytes) -> None:
        self._counted(super().write, name, content)

    def delete(self, name: str) -> None:
        self._counted(super().delete, name)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("after", [False, True])
def test_a_crash_at_any_step_of_merging_and_dropping_leaves_a_ledger_that_reads_right(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, after: bool
) -> None:
    monkeypatch.setattr("os.fsync", lambda _: None)
    choose = random.Random(4)
    plan = [entry(n, Versions(1, choose.choice((n, n - 1, 0)))) for n in range(120)]
    for round_ in range(40):
        path, recorded, crashes = tmp_path / str(round_), 0, 0
        while recorded < len(plan):
            ledger = Ledger(Dying(path, choose.randint(0, 40), after=after), kept=20)
            assert_reads_right(path, plan, recorded)
            try:
                while recorded < len(plan):
                    if ledger.entry(recorded) is None:  # as the job asks, after a restart too
                        ledger.record(plan[recorded])
                    recorded += 1
            except Crash:
                crashes += 1
        assert crashes > 3
        assert_reads_right(path, plan, recorded)
        assert len(list(path.iterdir())) < 30


def assert_reads_right(path: Path, plan: list[Entry], recorded: int) -> None:
    ledger = Ledger(DurableFolder.on_disk(path))
    pieces = ledger.pieces()
    firsts = [piece.first_micro_batch for piece in pieces]
    known = [n for piece in pieces for n in range(piece.first_micro_batch, piece.last_micro_batch + 1)]
    assert known == list(range(firsts[0] if firsts else 0, known[-1] + 1 if known else 0))  # no gap, nothing twice
    assert recorded <= len(known) + (firsts[0] if firsts else 0) <= recorded + 1  # a crash after the record: one more
    for piece in pieces:
        for n in range(piece.first_micro_batch, piece.last_micro_batch + 1):
            assert piece.versions == plan[n].versions
        assert piece.start == plan[piece.first_micro_batch].start
        assert piece.end == plan[piece.last_micro_batch].end
    assert len(pieces) >= min(20, recorded // 3)
    for n in range(max(0, recorded - 10), recorded):
        assert ledger.entry(n) == plan[n]


# Spark has lost its newest files


def planned(number: int, versions: Versions, start: int, end: int) -> Entry:
    return Entry.from_versions(number, versions, {"0": start}, {"0": end})


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("after", [False, True])
def test_records_that_were_judged_are_judged_alike_when_spark_plans_their_micro_batches_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, after: bool
) -> None:
    """The plan is lost again and again, by some micro-batches, and cut otherwise then; the process dies in between, too."""
    monkeypatch.setattr("os.fsync", lambda _: None)
    for seed in range(60):
        choose = random.Random(seed)
        path = tmp_path / str(seed)
        sent: dict[int, int] = {}
        plan: list[tuple[int, int]] = []  # of the micro-batches that Spark knows: (start, end)
        for version in range(1, 40):
            ledger = Ledger(Dying(path, choose.randint(1, 60), after=after), kept=20)
            if choose.random() < 0.4:
                del plan[max(0, len(plan) - choose.randint(1, 4)) :]
            number = len(plan)
            start = plan[-1][1] if plan else 0
            plan.append((start, start + choose.randint(0, 9)))
            for retry in range(5):
                try:
                    found = recorded_or_new(ledger, number, plan[number], Versions(100 * version + retry))
                except Crash:
                    ledger = Ledger(Dying(path, choose.randint(1, 60), after=after), kept=20)
                    continue
                judged = dict.fromkeys(range(*plan[number]), found.versions.model)
                judged |= {o: r.versions.model for r in found.bound for o in range(r.start["0"], r.end["0"])}
                for offset, model in judged.items():
                    assert sent.setdefault(offset, model) == model, (seed, number, offset)
                break
        read = Ledger(DurableFolder.on_disk(path))
        pieces = [(p.start["0"], p.end["0"], p.versions.model) for p in read.pieces()]
        for first, last, model in pieces:
            assert {sent.get(offset, model) for offset in range(first, last)} <= {model}
        covered = [offset for first, last, _ in pieces for offset in range(first, last)]
        assert covered == sorted(set(covered))


def recorded_or_new(ledger: Ledger, number: int, plan: tuple[int, int], versions: Versions) -> Entry:
    """As `jobs.detect` does it."""
    new = planned(number, versions, *plan)
    found = ledger.entry(number)
    if found is not None and (found.start, found.end) == (new.start, new.end):
        return found
    if found is not None:
        ledger.overtake(number)
    new = ledger.bound(new)
    ledger.record(new)
    return new


@pytest.mark.usefixtures("small")
def test_a_checkpoint_of_which_a_part_was_deleted_is_refused(path: Path) -> None:
    ledger = Ledger(DurableFolder.on_disk(path))
    for n in range(40):
        ledger.record(entry(n, Versions(1)))
    with pytest.raises(
        CheckpointIncomplete, match=r"plans micro-batch 0, but the ledger .* knows all up to 24.*another --checkpoint"
    ):
        Ledger(DurableFolder.on_disk(path)).record(entry(0, Versions(1)))


# Tables


@pytest.mark.usefixtures("small")
def test_tables_are_kept_for_as_long_as_anything_in_the_ledger_names_them(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.fsync", lambda _: None)
    ledger = Ledger(DurableFolder.on_disk(path), kept=40)
    tables = ThresholdStore(DurableFolder.on_disk(tmp_path / "tables"))
    for n in range(1_000):
        digest = tables.keep(Table(n + 1, 1, 0, 1, 0, n / 1000, {}))
        merged = ledger.record(entry(n, Versions(1, n + 1, table_digest=digest)))
        if merged and ledger.dropped:
            ledger.dropped = tables.purge(ledger.tables().thresholds, most=10)
    assert len(list((tmp_path / "tables").iterdir())) <= 120
    pieces = Ledger(DurableFolder.on_disk(path)).pieces()
    assert len(pieces) >= 40
    for piece in pieces:
        assert (
            tables.table(piece.versions.thresholds, piece.versions.table_digest).default
            == (piece.versions.thresholds - 1) / 1000
        )
    assert tables.newest is not None
    assert tables.newest.version == 1_000


def test_a_table_of_another_topic_with_the_same_version_is_another_table(tmp_path: Path) -> None:
    tables = ThresholdStore(DurableFolder.on_disk(tmp_path))
    made = [Table(7, 1, 0, 1, 0, default, {}) for default in (0.6, 0.7)]
    digests = [tables.keep(table) for table in made]
    again = ThresholdStore(DurableFolder.on_disk(tmp_path))
    assert [again.table(7, digest) for digest in digests] == made
    name = f"7-{digests[0]}.json"
    (tmp_path / name).write_bytes((tmp_path / f"7-{digests[1]}.json").read_bytes())
    with pytest.raises(LookupError, match="it is damaged"):
        ThresholdStore(DurableFolder.on_disk(tmp_path)).table(7, digests[0])
    ThresholdStore(DurableFolder.on_disk(tmp_path)).keep(made[0])
    assert ThresholdStore(DurableFolder.on_disk(tmp_path)).table(7, digests[0]) == made[0]


def test_a_table_that_was_deleted_is_kept_again_when_it_is_used_again(tmp_path: Path) -> None:
    tables = ThresholdStore(DurableFolder.on_disk(tmp_path))
    one, two = (Table(version, 1, 0, 1, 0, 0.5, {}) for version in (1, 2))
    digest = tables.keep(one)
    tables.keep(two)
    assert not tables.purge(set(), most=10)
    assert tables.keep(one) == digest
    assert ThresholdStore(DurableFolder.on_disk(tmp_path)).table(1, digest) == one


def test_a_table_under_the_number_of_another_is_refused(tmp_path: Path) -> None:
    digest = ThresholdStore(DurableFolder.on_disk(tmp_path)).keep(Table(7, 1, 0, 1, 0, 0.5, {}))
    (tmp_path / f"7-{digest}.json").rename(tmp_path / f"9-{digest}.json")
    again = ThresholdStore(DurableFolder.on_disk(tmp_path))
    with pytest.raises(LookupError, match=r"thresholds 9 holds table 7: it was renamed"):
        again.table(9, digest)
    with pytest.raises(LookupError, match="it was renamed"):
        _ = again.newest


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"[]", b'{"version":1', b'{"thresholds":{"\xff":1}}', b'{"version":0}']
)
def test_what_is_no_table_is_refused_in_words_though_its_name_is_right(tmp_path: Path, content: bytes) -> None:
    digest = hashlib.sha256(content).hexdigest()[:DIGEST_DIGITS]
    folder = DurableFolder.on_disk(tmp_path)
    folder.write(f"3-{digest}.json", content)
    with pytest.raises(LookupError, match="kept file of the table of thresholds 3 holds no table"):
        ThresholdStore(folder).table(3, digest)


def test_files_of_others_beside_the_tables_are_neither_the_newest_nor_deleted(tmp_path: Path) -> None:
    folder = DurableFolder.on_disk(tmp_path)
    table = Table(7, 1, 0, 1, 0, 0.5, {})
    digest = ThresholdStore(folder).keep(table)
    others = [
        f"008-{digest}.json",
        f"9-{digest}xjson",
        f"0-{digest}.json",
        f"9-{digest.upper()}.json".replace("A", "G"),
    ]
    for name in others:
        folder.write(name, b"another's")
    tables = ThresholdStore(folder)
    assert tables.newest == table
    tables.purge(set(), most=10)
    assert sorted(folder.names()) == sorted([f"7-{digest}.json", *others])


@pytest.mark.parametrize("damage", [b"", b"{", b"\xff\xfe", b"[]", b'{"micro_batch":"x"}', b"\0" * 100])
def test_a_file_of_the_ledger_that_is_damaged_is_named_with_what_to_do(path: Path, damage: bytes) -> None:
    ledger = Ledger(DurableFolder.on_disk(path))
    ledger.record(entry(0, Versions(1)))
    (path / "0.json").write_bytes(damage)
    with pytest.raises(CheckpointIncomplete, match=r"file ledger/0\.json is damaged \(.*--checkpoint"):
        Ledger(DurableFolder.on_disk(path)).entry(0)


@pytest.mark.usefixtures("small")
def test_ranges_that_are_damaged_are_named_too(path: Path) -> None:
    ledger = Ledger(DurableFolder.on_disk(path))
    for n in range(40):
        ledger.record(entry(n, Versions(n)))
    [*_, newest] = sorted(path.glob("ranges-*"))
    newest.write_bytes(b"[[")
    with pytest.raises(CheckpointIncomplete, match=rf"file ledger/{newest.name} is damaged"):
        Ledger(DurableFolder.on_disk(path))
