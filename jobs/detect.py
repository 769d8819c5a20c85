"""The detection query: transactions from Kafka → folded, scored and judged → scores, alerts and dead letters to Kafka."""

import logging
import sys
import uuid
from functools import partial
from pathlib import Path

if not __package__:  # spark-submit runs this file as a script, and knows only the folder that it stands in
    sys.path[0] = str(Path(__file__).resolve().parent.parent)
    from jobs.runtime.orphan import end_with_parent

    end_with_parent()

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.streaming import StreamingQuery

from detection.ledger import Ledger
from detection.storage import is_number
from jobs import profiles, publish, thresholds
from jobs.checkpoint_settings import hold_frozen
from jobs.currencies import check_rates, hold_rates
from jobs.customer_fold import OUTPUT, CustomerFold, Limits
from jobs.declared_extras import check_extras, hold_declared
from jobs.initial_state import initial_state
from jobs.micro_batches import QUERY, Detection
from jobs.preflight import champion_needs_profiles, check_champion, check_kafka
from jobs.recoveries import RECOVERIES
from jobs.runtime.application import run
from jobs.runtime.gate import Gate
from jobs.runtime.storage import DurableFolder
from jobs.source.input_topics import InputTopics
from jobs.source.log_order import by_state_partition, start_sorted
from jobs.source.micro_batch_size import Pace
from jobs.source.routing import routed
from jobs.source.stream import stream
from jobs.source.topic_limits import check_limits, room
from jobs.tasks import Tasks
from ml.features.currencies import AS_PAID, Rates
from settings import Settings

_log = logging.getLogger(__name__)


def main() -> int:
    settings = Settings.from_command_line()
    starters = {QUERY: start} | ({publish.QUERY: publish.start} if settings.publish else {})
    topics = [settings.transactions_topic, settings.scores_topic, settings.alerts_topic, settings.invalid_topic]
    wanted = [settings.thresholds_topic] if settings.adaptive_thresholds else []
    if settings.adaptive_thresholds:
        starters |= {thresholds.QUERY: thresholds.start} if settings.make_thresholds else {}
    if settings.profiles and champion_needs_profiles(settings):
        wanted.append(settings.profiles_topic)
        starters |= {profiles.QUERY: profiles.start} if settings.make_profiles else {}
    if settings.lake is not None:
        from jobs import archive  # with the library of Delta tables, which a job without a lake does not load

        wanted.append(settings.labels_topic)
        starters[archive.QUERY] = archive.start
    there = partial(check_kafka, settings, *topics, wanted=wanted)
    return run(
        settings,
        starters,
        RECOVERIES,
        [there, *(partial(check, settings) for check in (check_extras, check_limits, check_champion, check_rates))],
    )


def start(spark: SparkSession, settings: Settings, gate: Gate) -> StreamingQuery:
    """Start the query from its checkpoint; a first start takes in the customers' past, where it is given."""
    folder = partial(DurableFolder, spark)
    kept = folder(f"{settings.checkpoint}/settings")
    replayed = None if settings.replay_of is None else folder(f"{settings.replay_of}/settings", create=False)
    rates = hold_rates(settings, kept, replayed)
    hold_frozen(settings, kept)
    declared = hold_declared(settings, kept)
    ledger = Ledger(folder(f"{settings.checkpoint}/ledger"), settings.ledger_ranges)
    inputs = InputTopics(
        spark, settings, QUERY, [settings.transactions_topic], settings.accept_data_loss, forget=ledger.forget
    )
    with inputs.starting():
        detection = Detection(spark, settings, gate, ledger, inputs, rates, declared)
        # Spark deletes the older commits, the first one among them.
        begun = any(is_number(name) for name in folder(f"{settings.checkpoint}/{QUERY}/commits").names())
        if not begun and settings.initial_state is None:
            _log.warning("no --initial-state: all customers are new to this job")
        past = None if begun else initial_state(spark, settings, rates.version)
        writer = (
            folded(transactions(spark, settings, detection.pace), past, settings, detection.tasks, rates)
            .writeStream.foreachBatch(gate.guarded(QUERY, detection.write))
            .option("checkpointLocation", f"{settings.checkpoint}/{QUERY}")
            .queryName(QUERY)
        )
        query = start_sorted(spark, writer)
    detection.poll(lambda: query.isActive)
    inputs.watch(query)
    return query


def transactions(spark: SparkSession, settings: Settings, at: Pace) -> DataFrame:
    """The records of the transactions topic, as Spark's Kafka source gives them."""
    return stream(
        spark,
        settings,
        settings.transactions_topic,
        most=at.most,
        a_poll=at.a_poll,
        accept_loss=settings.accept_data_loss,
        since=settings.starting_offsets,
    )


def folded(
    records: DataFrame, past: DataFrame | None, settings: Settings, tasks: Tasks, rates: Rates = AS_PAID
) -> DataFrame:
    """Kafka records → one row each, as `jobs.customer_fold.OUTPUT` says: features, or the reason why there are none."""
    limits = Limits(
        settings.max_transaction_bytes,
        settings.max_future_hours,
        room(tasks.limits.invalid),
        settings.state_partitions,
        rates,
    )
    processor = CustomerFold(uuid.uuid4().hex, limits, tasks)
    return (
        records.transform(routed(settings.max_transaction_bytes, settings.state_partitions))
        .transform(by_state_partition(settings.state_partitions))
        .groupBy("state_key")
        .transformWithStateInPandas(
            processor, OUTPUT, "Append", "None", None if past is None else past.groupBy("state_key")
        )
    )


if __name__ == "__main__":
    sys.exit(main())
