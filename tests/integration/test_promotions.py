"""Ten promotions in two minutes under a thousand transactions a second: each judged once, by what both ledgers name.

How soon a promotion judges is measured too, and printed (`pytest -s`); what it should be is not for a test to say.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from threading import Thread

import msgspec
import numpy as np
import pytest

from detection.durable_folder import DurableFolder
from ml.model import Model
from ml.registry.model_store import ModelStore
from ml.schema import Score
from serving.judge import ServiceLedger
from settings import Settings
from tests.integration.application import Application
from tests.integration.service import Service
from torture.audit import audit, ends_of
from torture.batches import LedgerWatch
from torture.checkpoint import reached
from torture.early import EarlyAccount, apart
from torture.feed import Feed, send_some
from torture.reference import Expected
from torture.topics import records

RATE, SECONDS, PROMOTIONS = 1_000.0, 120.0, 10
SERVED = "serving"
_score = msgspec.json.Decoder(Score).decode


def values(settings: Settings, topic: str) -> Iterator[bytes]:
    for found in records(settings.kafka_bootstrap_servers, topic):
        yield from (message.value() or b"" for message in found)


def promoted_in_turn(registry: ModelStore) -> list[tuple[int, int]]:
    """One version and the other, evenly over the traffic; (version, ms) of each, from before it was asked for."""
    begin, done = time.monotonic(), []
    for number in range(PROMOTIONS):
        time.sleep(max(0.0, begin + (number + 0.5) * SECONDS / PROMOTIONS - time.monotonic()))
        version = 2 - number % 2
        done.append((version, int(time.time() * 1000)))
        registry.promote(version)
    return done


def first_judgements(promoted: list[tuple[int, int]], judged: list[tuple[int, int]]) -> list[float]:
    """Seconds from each promotion to the first score by its version; judged: (version, scored_at in ms)."""
    ends = [at for _, at in promoted[1:]] + [promoted[-1][1] + 600_000]
    firsts = [
        min(at for by, at in judged if by == version and begin <= at < end)
        for (version, begin), end in zip(promoted, ends, strict=True)
    ]
    return [(first - begin) / 1000 for first, (_, begin) in zip(firsts, promoted, strict=True)]


class Served:
    """What the service said, against the same reference: called with it."""

    def __init__(self, settings: Settings, folder: Path, models: dict[int, Model]) -> None:
        self._settings, self._models = settings, models
        self.epochs = ServiceLedger(DurableFolder.on_disk(folder / SERVED / "ledger")).epochs
        self.missing = self.contradicting_the_ledger = 0

    def __call__(self, reference: Expected) -> None:
        """Each anomaly by the model that the service's ledger names for its place has one alert by that model."""
        account = EarlyAccount(reference, self._models.__getitem__)
        said = list(values(self._settings, self._settings.early_alerts_topic))
        account.take_alerts(said)
        self.figures = account.figures
        by = self._by_ledger(reference)
        wanted = np.zeros(len(by), np.bool_)
        for version, model in self._models.items():
            rows = np.flatnonzero((by == version) & ~reference.dead)
            wanted[rows] = model.is_anomaly(model.anomaly_score(reference.features[rows]))
        scores = [_score(value) for value in said]
        places = np.array([(score.partition, score.offset) for score in scores], np.int64).reshape(-1, 2)
        rows, compared = reference.rows(*places.T), ~apart(reference)
        alerted = np.zeros(len(by), np.bool_)
        alerted[rows] = True
        self.missing = int((wanted & ~alerted & compared).sum())
        versions = np.array([score.model_version for score in scores], np.int64)
        self.contradicting_the_ledger = int((by[rows] != versions)[compared[rows]].sum())

    def _by_ledger(self, reference: Expected) -> np.ndarray:
        places = np.array([reference.place(row) for row in range(len(reference.position))], np.int64)
        by = np.zeros(len(places), np.int64)
        for epoch in self.epochs:
            begins = np.array([epoch.start.get(number, 0) for number in range(places[:, 0].max() + 1)])
            by[places[:, 1] >= begins[places[:, 0]]] = epoch.versions.model
        return by


@pytest.mark.slow
@pytest.mark.long  # two minutes of traffic, which is the guarantee itself; shorter, ten promotions are another thing
def test_ten_promotions_in_two_minutes_judge_each_transaction_once_by_what_the_ledgers_name(
    settings: Settings,
    models: list[Model],
    registry: ModelStore,
    start: Callable[..., Application],
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    settings = settings.model_copy(update={"publish": False, "starting_offsets": "earliest"})
    send_some(settings, 200, seed=161)
    application = start(settings)
    feed = Feed(settings.kafka_bootstrap_servers, settings.transactions_topic, settings.labels_topic, seed=161)
    traffic = Thread(target=feed.run, args=(RATE, SECONDS, lambda status: None), daemon=True)
    detect = Path(settings.checkpoint) / "detect"
    with Service(settings, tmp_path / "service") as service, LedgerWatch(Path(settings.checkpoint) / "ledger") as watch:
        application.wait_for_commit()
        service.wait_until_ready()
        traffic.start()
        promoted = promoted_in_turn(registry)
        traffic.join()
        ends = ends_of(settings, settings.transactions_topic)
        application.wait_until(lambda: reached(detect, ends), "the end of the traffic")
        application.wait_until(lambda: "scoreline_lag_records 0.0" in service.get("/metrics").body, "the service's end")
        assert service.stop() == 0
        assert application.stop() == 0
    assert not watch.changed, "an entry of the ledger was changed after it was written"
    served = Served(settings, tmp_path / "service", {model.version: model for model in models})
    found = audit(settings, watch.entries, registry, tmp_path, served)

    assert feed.status.failed == 0
    assert found.records >= RATE * SECONDS * 0.9, f"this machine sent {found.records:,}"
    wrong = found.lost, found.differing, found.order_undefined_differing, found.unknown, found.alerts_missing
    assert wrong == (0, 0, 0, 0, 0), found.examples
    assert (found.scores_sent_twice, found.alerts_sent_twice, found.dead_letters_sent_twice) == (0, 0, 0)
    by_job = [entry.model_version for entry in watch.entries]
    assert [after for before, after in pairwise(by_job) if after != before] == [2, 1] * 5
    assert [epoch.versions.model for epoch in served.epochs] == [1] + [2, 1] * 5
    assert served.figures.right, served.figures.examples
    assert (served.missing, served.contradicting_the_ledger, served.figures.sent_twice) == (0, 0, 0)

    job = [(score.model_version, score.scored_at) for score in map(_score, values(settings, settings.scores_topic))]
    early = [(s.model_version, s.scored_at) for s in map(_score, values(settings, settings.early_alerts_topic))]
    for lane, judged in (("job", job), ("service", early)):
        seconds = first_judgements(promoted, judged)
        record_property(f"seconds_from_promotion_to_first_judgement_{lane}", seconds)
        print(f"{lane}: first judgement {sorted(seconds)} s after the promotion, of {len(judged):,}")
    print(f"{found.records:,} records, {Counter(by for by, _ in job)} by version, fed {feed.status}")
