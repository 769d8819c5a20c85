"""Small data sets for the tests of replay and convert."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from generator.labels import Reporting
from generator.replay.convert import Converter
from generator.replay.mapping import Mapping, load_mapping
from generator.replay.stream import DataSet

SAMPLES = Path(__file__).parents[2] / "generator" / "samples"
PROMPT = Reporting(median_days=0, never=0, wrong=0, false_alarms=0)
WEEK = Reporting(median_days=7, never=0, wrong=0, false_alarms=0)
PLAIN: dict[str, Any] = {
    "name": "plain",
    "event_time": {"column": "at", "unit": "seconds"},
    "customer_id": "who",
    "amount": "amount",
    "label": "fraud",
}


def mapping(folder: Path, **changes: Any) -> Mapping:
    """PLAIN with changes, through a file; a key that is changed to None is left out."""
    file = folder / "mapping.yaml"
    file.write_text(yaml.safe_dump({key: value for key, value in (PLAIN | changes).items() if value is not None}))
    return load_mapping(str(file))


def csv_file(folder: Path, *lines: str, header: str = "at,who,amount,fraud") -> Path:
    file = folder / "data.csv"
    file.write_text("".join(f"{line}\n" for line in (header, *lines)), "utf-8", newline="")
    return file


def converted(data: DataSet, folder: Path, part_rows: int = 1_000_000) -> pa.Table:
    """The transactions that a data set is converted into."""
    Converter(data, folder, PROMPT, part_rows=part_rows).run()
    return transactions(folder)


def transactions(folder: Path) -> pa.Table:
    return pa.concat_tables([pq.read_table(file) for file in sorted(folder.glob("transactions-*.parquet"))])
