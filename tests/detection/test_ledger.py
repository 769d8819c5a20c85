"""What the ledger merges stays findable by offset."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from detection.ledger import Entry, Range, Versions, merged
from detection.ranges import cuts


def entries(versions: list[int], sizes: list[int]) -> list[Entry]:
    out, start = [], 0
    for micro_batch, (version, size) in enumerate(zip(versions, sizes, strict=True)):
        out.append(Entry.from_versions(micro_batch, Versions(version), {"0": start}, {"0": start + size}))
        start += size
    return out


def test_files_of_an_earlier_release_are_read() -> None:
    entry = msgspec.json.decode(
        b'{"micro_batch": 3, "model_version": 2, "start": {"0": 5}, "end": {"0": 9}}', type=Entry
    )
    assert entry.versions == Versions(model=2, thresholds=0)
    assert merged([], [entry])[0].versions == Versions(2)


def test_micro_batches_with_other_thresholds_are_other_ranges() -> None:
    written = [
        Entry.from_versions(number, Versions(1, table), {"0": number}, {"0": number + 1})
        for number, table in enumerate((0, 4, 4, 5))
    ]
    assert [(r.start["0"], r.end["0"], r.versions.thresholds) for r in merged([], written)] == [
        (0, 1, 0),
        (1, 3, 4),
        (3, 4, 5),
    ]


def version_at(ranges: list[Range], offset: int) -> int:
    return next(r.model_version for r in ranges if r.start["0"] <= offset < r.end["0"])


batches = st.lists(st.tuples(st.integers(1, 3), st.integers(0, 5)), min_size=1, max_size=20)


@given(batches, st.integers(0, 20))
def test_a_record_is_found_under_its_version_after_any_merge(plan: list[tuple[int, int]], cut: int) -> None:
    written = entries([version for version, _ in plan], [size for _, size in plan])
    ranges = merged(merged([], written[:cut]), written)
    for entry in written:
        for offset in range(entry.start["0"], entry.end["0"]):
            assert version_at(ranges, offset) == entry.model_version
    assert len(ranges) <= len(written)


def test_a_micro_batch_that_does_not_begin_where_the_last_one_ended_is_a_range_of_its_own() -> None:
    one = Entry.from_versions(0, Versions(1), {"0": 0}, {"0": 80})
    gap, other = (
        Entry.from_versions(1, Versions(1), {"0": start}, {"0": 16}, topic) for start, topic in ((9, ""), (80, "again"))
    )
    for second in (gap, other):
        assert [(piece.start, piece.end) for piece in merged([], [one, second])] == [
            (one.start, one.end),
            (second.start, second.end),
        ]


def test_ranges_of_a_topic_that_was_made_again_hold_none_of_the_new_ones_records() -> None:
    recorded = [
        Range.from_entry(Entry.from_versions(0, Versions(1), {"0": 0}, {"0": 9}, topic)) for topic in ("old", "new")
    ]
    found = cuts(Entry.from_versions(5, Versions(2), {"0": 3}, {"0": 6}, "new"), recorded[:1])
    assert [known for *_, known in found] == [None]
    found = cuts(Entry.from_versions(5, Versions(2), {"0": 3}, {"0": 6}, "new"), recorded)
    assert [known for *_, known in found] == [Versions(1)]
