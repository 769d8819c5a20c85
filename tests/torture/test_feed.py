"""The feed keeps its rate and its share of hostile messages, and what it aborts is not in the log."""

import time
from pathlib import Path

import msgspec
import numpy as np
import pytest

from settings import Settings
from torture.feed import Feed, Status, Transactions, send_some
from torture.reference import Log
from torture.topics import Spool, log_of


@pytest.mark.timeout(120)
def test_the_log_of_a_feed_holds_all_that_was_sent_but_for_what_was_aborted(topics: Settings, tmp_path: Path) -> None:
    servers, topic = topics.kafka_bootstrap_servers, topics.transactions_topic
    feed = Feed(servers, topic, topics.labels_topic, seed=5)
    transactions = Transactions(servers, topic, 5, feed.status)
    seen: list[Status] = []
    transactions.start()
    feed.run(400.0, 8.0, seen.append)
    transactions.ended.set()
    transactions.join(60)
    send_some(topics, 20, seed=5)
    status = feed.status
    assert status.ended
    assert status.failed == 0
    assert 2_600 <= status.sent <= 3_250
    assert 0.03 <= sum(status.hostile.values()) / status.sent <= 0.06
    assert status.labels > 10
    assert status.aborted >= 20
    wanted, until = status.sent + status.in_transactions + 20, time.monotonic() + 60
    while len((log := log_of(servers, topic, tmp_path)).offset) < wanted and time.monotonic() < until:
        close(log)  # a transaction's mark comes to its partitions some time after its commit has been answered
    assert len(log.offset) == wanted
    names = [
        msgspec.json.decode(v)["transaction_id"] for v in log.values if (v or b"").startswith(b'{"transaction_id":"K')
    ]
    assert len(names) == len(set(names)) == status.in_transactions
    assert len(np.unique(log.partition)) == 4
    close(log)


def close(log: Log) -> None:
    for spool in (log.keys, log.values):
        assert isinstance(spool, Spool)
        spool.close()
