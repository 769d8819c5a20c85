"""The same seed gives the same bytes: in another process, with another hash seed."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

PROGRAM = """
import hashlib, itertools, sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from generator.history import Origin, write_history
from generator.runs import Run
from generator.population import make_population
from generator.records import label_value, records
from generator.stream import transactions

folder, seed = Path(sys.argv[1]), int(sys.argv[2])
start = datetime(2026, 5, 1, tzinfo=UTC)
population = make_population(seed, 500)
run = Run('attack', 0.02, begins=start - timedelta(hours=9))
write_history(folder, Origin(seed, 500, start, 2, run), population, lambda rows, share: None)
digest = hashlib.sha256()
for batch in itertools.islice(transactions(population, start, Run(fraud_share=0.02)), 24):
    made = records(batch)
    labels = *made.truth.values(), *made.labels.values()
    for part in (*made.keys, *made.values, *map(label_value, labels)):
        digest.update(part)
for file in sorted(folder.iterdir()):
    digest.update(file.read_bytes())
print(digest.hexdigest())
"""


def digest(folder: Path, seed: int, hash_seed: str) -> str:
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(folder), str(seed)],
        env=os.environ | {"PYTHONHASHSEED": hash_seed, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    return ran.stdout.strip()


def test_the_same_seed_gives_the_same_bytes_in_every_process(tmp_path: Path) -> None:
    one = digest(tmp_path / "one", 7, "1")
    assert len(one) == hashlib.sha256().digest_size * 2
    assert digest(tmp_path / "same", 7, "2") == one
    assert digest(tmp_path / "other", 8, "1") != one
