"""Micro-batches are bounded in bytes: by what the records to come are seen to have, and again where that has changed."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from pyspark.errors import StreamingQueryException
from pyspark.sql import SparkSession

from jobs import detect, publish
from jobs.runtime.errors import StartAgain
from jobs.runtime.gate import Gate
from jobs.source import micro_batch_size
from jobs.source.record_sizes import sample
from jobs.source.stream import MOST_A_POLL
from settings import Settings
from tests.integration.traffic import Message, scores, send, traffic
from tests.integration.traffic import messages as sent_as


def padded(number: int, seed: int, size: int) -> list[Message]:
    """Transactions of so many bytes each, nearly all of which compress away."""
    plain = sent_as(traffic(number, customers=20, seed=seed))
    return [(key, value[:-1] + b',"pad":"' + b"x" * (size - len(value) - 10) + b'"}') for key, value in plain if value]


def records_by_micro_batch(settings: Settings) -> list[int]:
    found = scores(settings).values()
    numbers = [score["micro_batch"] for score in found]
    return [numbers.count(number) for number in sorted(set(numbers))]


def test_a_start_looks_at_the_records_that_it_goes_on_with(settings: Settings, spark: SparkSession) -> None:
    assert sample(spark, settings, settings.transactions_topic, None) is None
    send(settings, padded(400, 1, 600))
    small = sample(spark, settings, settings.transactions_topic, None)
    assert small is not None
    assert 590 < small.mean < 620
    send(settings, padded(400, 2, 50_000))
    mixed = sample(spark, settings, settings.transactions_topic, None)
    assert mixed is not None
    assert 20_000 < mixed.mean < 30_000
    assert 49_000 < mixed.largest < 51_000
    only_large = sample(spark, settings, settings.transactions_topic, dict.fromkeys(range(4), 130))
    assert only_large is not None
    assert only_large.mean > 45_000


def test_the_next_records_count_however_many_others_wait_behind_them(settings: Settings, spark: SparkSession) -> None:
    few = settings.model_copy(update={"max_offsets_per_trigger": 200})
    send(settings, padded(200, 8, 50_000))
    send(settings, padded(4_000, 9, 600))
    found = sample(spark, few, settings.transactions_topic, None)
    assert found is not None
    assert found.mean > 25_000  # of all that waits it is 3,000
    behind = sample(spark, few, settings.transactions_topic, dict.fromkeys(range(4), 150))
    assert behind is not None
    assert 590 < behind.mean < 620


@pytest.mark.timeout(400)
def test_a_micro_batch_takes_no_more_bytes_than_it_may(settings: Settings, detect_all: Callable[..., None]) -> None:
    send(settings, padded(600, 3, 20_000))
    detect_all(settings.model_copy(update={"max_bytes_per_trigger": 4_000_000}))
    cut = records_by_micro_batch(settings)
    assert sum(cut) == 600
    assert all(150 <= records <= 250 for records in cut[:-1])


@pytest.mark.timeout(400)
def test_records_that_have_become_larger_make_the_query_start_again_with_fewer_in_a_micro_batch(
    settings: Settings, spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(micro_batch_size, "_PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(micro_batch_size, "_ENOUGH", 10)
    bounded = settings.model_copy(update={"max_bytes_per_trigger": 300_000})
    spark.conf.set("spark.sql.shuffle.partitions", str(settings.state_partitions))

    def run(*batches: list[Message]) -> BaseException | None:
        """Send one after the other to a query that runs; returns what ended it, if anything did."""
        gate = Gate()
        query = detect.start(spark, bounded, gate)
        try:
            for batch in batches:
                send(settings, batch)
                with suppress(StreamingQueryException):
                    query.processAllAvailable()
        finally:
            query.stop()
            gate.close()
        return gate.take_error(detect.QUERY)

    send(settings, padded(200, 4, 600))
    ended = run([], padded(150, 5, 20_000), padded(50, 6, 20_000))
    assert isinstance(ended, StartAgain)
    assert str(ended).endswith("14 instead of 495 in a micro-batch")
    planned = len(
        [file for file in (Path(settings.checkpoint) / "detect" / "offsets").iterdir() if file.name.isdigit()]
    )
    assert run([], padded(100, 7, 20_000)) is None
    # What had been planned before may be larger than what is planned now, and comes through.
    cut = records_by_micro_batch(settings)
    assert sum(cut) == 500
    assert len(cut) > planned
    assert all(records <= 20 for records in cut[planned:])


def test_publish_asks_for_as_many_records_as_the_sizes_that_are_there_allow(
    settings: Settings, spark: SparkSession
) -> None:
    gate = Gate()
    assert publish.publish_pace(spark, settings, gate).a_poll == MOST_A_POLL
    scores_alone = [(b"k", b"x" * 1_000)] * 200
    send(settings.model_copy(update={"transactions_topic": settings.scores_topic}), scores_alone)
    assert publish.publish_pace(spark, settings, gate).a_poll == MOST_A_POLL
    letters = [(b"k", b"x" * 2_000_000)] * 30
    send(settings.model_copy(update={"transactions_topic": settings.invalid_topic}), letters)
    assert publish.publish_pace(spark, settings, gate).a_poll < 100
    assert publish.publish_pace(spark, settings, gate).most == 2 * settings.max_offsets_per_trigger


def test_publish_starts_again_before_it_reads_dead_letters_that_its_polls_were_not_made_for(
    settings: Settings, spark: SparkSession
) -> None:
    gate = Gate()
    in_file = settings.model_copy(update={"points_file": Path(settings.checkpoint).parent / "points"})
    query = publish.start(spark, in_file, gate)
    try:
        gate.report("detect", largest_record=8 << 20)
        send(settings.model_copy(update={"transactions_topic": settings.scores_topic}), [(b"k", b"no score")])
        with suppress(StreamingQueryException):
            query.processAllAvailable()
    finally:
        query.stop()
        gate.close()
    assert isinstance(raised := gate.take_error(publish.QUERY), StartAgain)
    assert "detection has met records of other sizes" in str(raised)
    assert publish.publish_pace(spark, in_file, gate).a_poll < 100
