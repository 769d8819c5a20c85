"""A replay finds for each record what judged it before, however its micro-batches are cut."""

from hypothesis import given
from hypothesis import strategies as st

from detection.ledger import Entry, Range, Versions, merged
from detection.ranges import cuts

batches = st.lists(st.tuples(st.integers(1, 3), st.integers(0, 2), st.integers(0, 6), st.integers(0, 6)), max_size=12)


@given(batches, st.integers(0, 30), st.integers(0, 60), st.integers(0, 30), st.integers(0, 60), st.data())
def test_each_record_of_a_micro_batch_has_the_versions_of_the_ledger(
    plan: list[tuple[int, int, int, int]], a: int, b: int, c: int, d: int, data: st.DataObject
) -> None:
    ends, written = {"0": 0, "1": 0}, []
    known: dict[tuple[int, int], Versions] = {}
    for number, (model, table, first, second) in enumerate(plan):
        start, ends = ends, {"0": ends["0"] + first, "1": ends["1"] + second}
        versions = Versions(model, table)
        written.append(Entry.from_versions(number, versions, start, ends))
        known |= {(int(p), offset): versions for p in ends for offset in range(start[p], ends[p])}
    recorded: list[Range] = merged([], written)
    entry = Entry.from_versions(0, Versions(9), {"0": min(a, b), "1": min(c, d)}, {"0": max(a, b), "1": max(c, d)})
    found = cuts(entry, data.draw(st.permutations(recorded)))
    covered = [(p, offset) for p, start, end, _ in found for offset in range(start, end)]
    assert covered == [(int(p), offset) for p in "01" for offset in range(entry.start[p], entry.end[p])]
    for partition, start, end, versions in found:
        assert {known.get((partition, offset)) for offset in range(start, end)} == {versions}
