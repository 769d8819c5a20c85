"""The ledger on a real file system, through Spark's checkpoint writer."""

from pathlib import Path

from pyspark.sql import SparkSession

from jobs.ledger import Entry, Ledger, Versions
from jobs.storage import DurableFolder


def test_an_entry_is_found_by_micro_batch_and_by_record_also_after_old_ones_were_merged(
    spark: SparkSession, tmp_path: Path
) -> None:
    ledger = Ledger(DurableFolder(spark, str(tmp_path / "ledger")))
    assert ledger.entry(0) is None
    for n in range(401):
        versions = Versions(1) if n < 150 else Versions(2, 5)
        ledger.record(Entry.of(n, versions, {"0": 10 * n, "1": n}, {"0": 10 * n + 10, "1": n + 1}))
    assert ledger.entry(400) == Entry.of(400, Versions(2, 5), {"0": 4000, "1": 400}, {"0": 4010, "1": 401})
    assert ledger.entry(3) is None
    assert [ledger.versions_at(0, offset) for offset in (0, 1499, 1500, 4009, 4010)] == [
        *[Versions(1)] * 2,
        *[Versions(2, 5)] * 2,
        None,
    ]
    assert ledger.versions_at(1, 149) == Versions(1)
    assert len(list((tmp_path / "ledger").glob("[!.]*"))) < 250
