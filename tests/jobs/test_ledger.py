"""What the ledger merges stays findable by offset."""

from hypothesis import given
from hypothesis import strategies as st

from jobs.ledger import Entry, Range, merged


def entries(versions: list[int], sizes: list[int]) -> list[Entry]:
    out, start = [], 0
    for micro_batch, (version, size) in enumerate(zip(versions, sizes, strict=True)):
        out.append(Entry(micro_batch, version, {"0": start}, {"0": start + size}))
        start += size
    return out


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
