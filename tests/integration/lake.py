"""A lake of what a test's topics hold, as the archive would write it, without a Spark application of its own."""

from pathlib import Path

import pyarrow as pa
from deltalake import write_deltalake

from detection.durable_folder import DurableFolder
from detection.ledger import Ledger
from jobs.explain import Explainer, Row, archived
from lake.place import Place
from lake.refolding import refold
from lake.rows import DAY, SCORES, Piece, ScoreRows
from lake.views import connect
from ml.features.currencies import default_rates
from ml.features.customers import Customers
from settings import Settings
from tests.support.kafka import read_topic


def lake_of(settings: Settings, folder: Path) -> Place:
    """A lake with each score that the topic holds, once."""
    place = Place(str(folder))
    records = read_topic(settings.kafka_bootstrap_servers, settings.scores_topic)
    ledger = Ledger(DurableFolder.on_disk(Path(settings.checkpoint) / "ledger", create=False))
    pieces = [Piece(each.topic_id, each.last_micro_batch, each.start, each.end) for each in ledger.pieces()]
    values = pa.array([record.value for record in records], pa.binary())
    batch = pa.RecordBatch.from_pydict({"value": values, "time": pa.array([record.timestamp for record in records])})
    [rows] = ScoreRows(pieces).read(iter([batch]))
    write_deltalake(place.table(SCORES), pa.Table.from_batches([rows]), partition_by=[DAY])
    return place


def check_explained(settings: Settings, place: Place, every: int = 7) -> None:
    """What the ledger names comes to the same judgement, of every so many scores; and all features fold to the same."""
    explainer = Explainer(settings, Path(settings.checkpoint))
    with connect(place) as lake:
        ids = [name for (name,) in lake.sql("select transaction_id from scores order by 1").fetchall()]
    scores: list[Row] = [one.score for name in ids[::every] for one in archived(place, name)]
    assert scores
    for score in scores:
        said, same = explainer.recomputed(score)
        assert same, f"{said}: {score}"
    other = scores[0] | {"features": [value + 1 for value in scores[0]["features"]]}
    assert explainer.recomputed(other)[0].endswith("NOT the same")
    compared = refold(place, default_rates(), Customers())
    assert (compared.transactions, compared.different, compared.left_out) == (len(ids), 0, 0), compared.examples
