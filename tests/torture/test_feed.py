"""The feed keeps its rate and its share of hostile messages, and what it aborts is not in the log."""

from pathlib import Path

import msgspec
import numpy as np
import pytest

from settings import Settings
from torture.feed import Feed, Status, Transactions, send_some
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
    log = log_of(servers, topic, tmp_path)
    assert len(log.offset) == status.sent + status.in_transactions + 20
    names = [
        msgspec.json.decode(v)["transaction_id"] for v in log.values if (v or b"").startswith(b'{"transaction_id":"K')
    ]
    assert len(names) == len(set(names)) == status.in_transactions
    assert len(np.unique(log.partition)) == 4
    for spool in (log.keys, log.values):
        assert isinstance(spool, Spool)
        spool.close()
