"""Snapshots of the replica: whatever a crash leaves, a restart begins with states and offsets that belong together."""

from pathlib import Path

import numpy as np
import pytest

from detection.durable_folder import DurableFolder
from detection.engine import Engine
from ml.features.customers import Customers
from serving.errors import StateRefused
from serving.snapshots import Snapshots
from tests.detection import recorded_log

LOG = recorded_log.messages()


def states(customers: Customers) -> dict[bytes, bytes]:
    return {state[["id_high", "id_low"]].tobytes(): state.tobytes() for state in customers.states}


def loaded(path: Path, topic: str = "transactions", topic_id: str = "id") -> tuple[Customers, dict[int, int] | None]:
    customers = Customers()
    return customers, Snapshots(path, topic, topic_id).load(customers)


def test_a_restart_has_the_states_of_the_last_snapshot_and_its_offsets(tmp_path: Path) -> None:
    customers = Customers()
    engine = Engine(customers)
    engine.touched = []
    snapshots = Snapshots(tmp_path, "transactions", "id", "", 0.0)
    for start in range(0, len(LOG), 100):
        engine.fold(recorded_log.taken(LOG[start : start + 100]))
        if engine.touched:
            snapshots.finish(customers, engine.touched, {0: start + 100}, 10)
            found, offsets = loaded(tmp_path)
            assert offsets == {0: start + 100}
            assert states(found) == states(customers)


def test_what_was_written_for_a_snapshot_that_never_counted_is_no_part_of_the_next(tmp_path: Path) -> None:
    customers = Customers()
    engine = Engine(customers)
    engine.touched = []
    snapshots = Snapshots(tmp_path, "transactions", "id", "", 0.0)
    engine.fold(recorded_log.taken(LOG[:500]))
    snapshots.finish(customers, engine.touched, {0: 500}, 10)
    before = states(customers)
    folder = DurableFolder.on_disk(tmp_path)
    folder.write("chunk-2", b"half of something")
    found, offsets = loaded(tmp_path)
    assert (states(found), offsets) == (before, {0: 500})
    assert folder.read("chunk-2") is None


def test_a_seed_replaces_all_that_was_there(tmp_path: Path) -> None:
    customers = Customers()
    Engine(customers).fold(recorded_log.taken(LOG))
    DurableFolder.on_disk(tmp_path).write("chunk-1", b"old")
    Snapshots(tmp_path, "transactions", "id").seed(customers, {0: 3})
    found, offsets = loaded(tmp_path)
    assert (states(found), offsets) == (states(customers), {0: 3})


def test_after_a_restart_snapshots_go_on_where_they_were(tmp_path: Path) -> None:
    customers = Customers()
    engine = Engine(customers)
    engine.touched = []
    Snapshots(tmp_path, "transactions", "id").seed(customers, {0: 0})
    for start in range(0, len(LOG), 400):
        again, _ = loaded(tmp_path)
        assert states(again) == states(customers)
        snapshots = Snapshots(tmp_path, "transactions", "id", "", 0.0)
        customers = Customers()
        snapshots.load(customers)
        engine = Engine(customers)
        engine.touched = []
        engine.fold(recorded_log.taken(LOG[start : start + 400]))
        snapshots.finish(customers, engine.touched, {0: start + 400}, 10)
    straight = Customers()
    Engine(straight).fold(recorded_log.taken(LOG))
    assert states(loaded(tmp_path)[0]) == states(straight)


def test_the_folder_stays_bounded(tmp_path: Path) -> None:
    customers = Customers()
    engine = Engine(customers)
    engine.touched = []
    snapshots = Snapshots(tmp_path, "transactions", "id", "", 0.0)
    engine.fold(recorded_log.taken(LOG))
    for number in range(200):
        engine.touched.append(np.arange(customers.count))
        snapshots.finish(customers, engine.touched, {0: number}, 10)
    rows = sum(len(file.read_bytes()) for file in tmp_path.glob("chunk-*")) // customers.states.itemsize
    assert rows <= 2 * customers.count + 3 * 4096
    assert states(loaded(tmp_path)[0]) == states(customers)


@pytest.mark.parametrize(("topic", "topic_id"), [("other", "id"), ("transactions", "new")])
def test_a_snapshot_of_another_topic_is_refused(tmp_path: Path, topic: str, topic_id: str) -> None:
    Snapshots(tmp_path, "transactions", "id").seed(Customers(), {0: 0})
    with pytest.raises(StateRefused, match="of the topic"):
        loaded(tmp_path, topic, topic_id)


def test_a_snapshot_by_other_currency_rates_is_refused(tmp_path: Path) -> None:
    Snapshots(tmp_path, "transactions", "id", "of-may").seed(Customers(), {0: 0})
    assert Snapshots(tmp_path, "transactions", "id", "of-may").load(Customers()) == {0: 0}
    with pytest.raises(StateRefused, match=r"rates of-may, and this service folds by of-june.*--currency-rates"):
        Snapshots(tmp_path, "transactions", "id", "of-june").load(Customers())


def test_a_snapshot_whose_file_is_damaged_is_refused_with_what_a_service_can_do(tmp_path: Path) -> None:
    snapshots = Snapshots(tmp_path, "transactions", "id")
    snapshots.seed(Customers(), {0: 0})
    DurableFolder.on_disk(tmp_path).write_newest("about", b"{")
    with pytest.raises(StateRefused, match=r"file state/about of --serve-state is damaged \(.*--rebuild") as refused:
        loaded(tmp_path)
    assert "checkpoint" not in str(refused.value)


def test_a_snapshot_that_lacks_a_chunk_is_refused(tmp_path: Path) -> None:
    customers = Customers()
    Engine(customers).fold(recorded_log.taken(LOG))
    Snapshots(tmp_path, "transactions", "id").seed(customers, {0: 3})
    next(tmp_path.glob("chunk-*")).unlink()
    with pytest.raises(StateRefused, match="lacks a chunk"):
        loaded(tmp_path)
