"""A data set in the shape of the ULB file, and what the engine and the evaluation say of it."""

from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from detection.decision import Decision
from detection.engine import Engine, Limits, Scored
from detection.folding import Messages
from detection.ranges import Versions
from detection.score_json import closing
from ml.dataset.split import Split
from ml.evaluation.data import Extras, outline, read
from ml.features.currencies import default_rates
from ml.features.customers import Customers
from ml.features.declared import names
from ml.features.declared import read as declaration
from tests.generator.replay_data import SAMPLES

DECLARATION = SAMPLES / "ulb-extras.toml"
NUMBERS = names(declaration(DECLARATION))


def ulb_file(folder: Path, rows: int = 5_000) -> Path:
    """Rows in the shape of the published file; every twenty-fifth is fraud, which V14 and V17 show."""
    random, lines = np.random.default_rng(101), [(SAMPLES / "ulb.csv").read_text().splitlines()[0]]
    for n, second in enumerate(np.sort(random.integers(0, 172_800, rows)).tolist()):
        fraud = n % 25 == 24
        parts = random.normal(0, np.linspace(2, 0.3, 28)) - 6 * fraud * np.isin(np.arange(1, 29), (14, 17))
        values = ",".join(f"{value:.13f}" for value in parts)
        lines.append(f'{second},{values},{random.lognormal(3, 1.5):.2f},"{int(fraud)}"')
    file = folder / "creditcard.csv"
    file.write_text("\n".join(lines) + "\n")
    return file


def odd_messages() -> list[tuple[bytes, bytes]]:
    common = b'"event_time":"2013-09-02T12:00:00Z","customer_id":"odd","amount":5'
    extras = (b'"V1":"high","V2":0.5', b'"other":"text"')
    return [(b"odd", b'{"transaction_id":"odd-%d",%b,%b}' % (k, common, more)) for k, more in enumerate(extras)]


def judged(score: dict[str, Any]) -> dict[str, Any]:
    """All of a score but who wrote it, and when."""
    return {name: value for name, value in score.items() if name not in ("lane", "micro_batch", "scored_at")}


def as_the_engine_says(sent: Any, model: Any) -> dict[tuple[int, int], dict[str, Any]]:
    rates = default_rates()
    versions = Versions(model.version, name=model.name, model_digest=model.digest)
    decision = Decision.from_table(versions, model, None)
    log = sorted(sent, key=lambda record: (record.partition, record.offset))
    columns = [[getattr(r, name) for r in log] for name in ("value", "key", "timestamp", "partition", "offset")]
    engine = Engine(Customers(), Limits(rates=rates), declaration(DECLARATION))
    outcomes = engine.work(Messages(*columns), decision, closing("early", None, 0, currency_version=rates.version))
    plain = [msgspec.json.decode(one.value) for one in outcomes if isinstance(one, Scored)]
    return {(score["partition"], score["offset"]): judged(score) for score in plain}


def as_evaluation_says(history: Path, model: Any) -> set[tuple[int, float]]:
    seen = outline(history, rates=default_rates())
    split = Split.from_span(int(seen.times[0]), int(seen.times[-1]), 0.0)
    data = read(seen, split, 0, extras=Extras(declaration(DECLARATION), model.extras))
    rows = data.test.features[:, [data.feature_names.index(name) for name in model.features]]
    found = set(zip(data.test.transaction.tolist(), model.anomaly_score(rows).tolist(), strict=True))
    assert len(found) > 500
    return found
