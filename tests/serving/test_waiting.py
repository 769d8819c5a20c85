"""A deadline ends the wait and not what is waited for."""

import asyncio
import gc

import pytest
import uvloop

from serving.metrics import Metrics
from serving.waiting import Once, within


def test_what_is_done_in_time_is_seen_at_once_by_all_who_wait_for_it() -> None:
    async def both() -> tuple[bool, bool, float]:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[int] = loop.create_future()
        began = loop.time()
        loop.call_later(0.01, future.set_result, 1)
        one, other = await asyncio.gather(within(future, 30.0), within(future, 30.0))
        return one, other, loop.time() - began

    one, other, took = asyncio.run(both())
    assert one
    assert other
    assert took < 10


def test_after_the_deadline_the_future_goes_on_and_nothing_of_the_wait_is_left() -> None:
    async def late() -> tuple[bool, bool, int]:
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        in_time = await within(future, 0.01)
        future.set_result(7)
        return in_time, await within(future, 0.0), await future

    assert asyncio.run(late()) == (False, True, 7)


def test_a_future_that_fails_is_done_and_its_error_is_not_taken_from_it() -> None:
    async def failing() -> None:
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(future.set_exception, ValueError("no"))
        assert await within(future, 30.0)
        await future

    with pytest.raises(ValueError, match="no"):
        asyncio.run(failing())


def test_who_stops_waiting_does_not_stop_what_others_wait_for() -> None:
    async def cancelled() -> bool:
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        waiting = asyncio.create_task(within(future, 30.0))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        return future.cancelled()

    assert not asyncio.run(cancelled())


def test_what_is_to_be_done_once_is_done_once_whatever_comes_first() -> None:
    async def counted(finish: float | None, seconds: float) -> int:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[int] = loop.create_future()
        done: list[bool] = []
        Once(future, seconds, lambda: done.append(True))
        if finish == 0:
            future.set_result(1)
        elif finish is not None:
            loop.call_later(finish, future.set_result, 1)
        await asyncio.sleep(0.05)
        return len(done)

    assert asyncio.run(counted(0, 30.0)) == 1
    assert asyncio.run(counted(0, 0.0)) == 1
    assert asyncio.run(counted(0.01, 30.0)) == 1
    assert asyncio.run(counted(0.02, 0.01)) == 1
    assert asyncio.run(counted(None, 0.01)) == 1
    assert asyncio.run(counted(None, 30.0)) == 0


def test_a_wait_leaves_the_garbage_collector_nothing() -> None:
    async def waited() -> int:
        loop = asyncio.get_running_loop()
        gc.collect()
        for _ in range(20):
            future: asyncio.Future[int] = loop.create_future()
            Once(future, 30.0, lambda: None)
            future.set_result(1)
            await within(future, 30.0)
            await asyncio.sleep(0)
        del future
        return gc.collect()

    gc.disable()
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            assert runner.run(waited()) < 20
    finally:
        gc.enable()


def test_counts_by_labels_are_what_prometheus_reads() -> None:
    metrics = Metrics()
    for status in ("200", "200", "503"):
        metrics.count(metrics.requests, "/predict", status)
    metrics.count(metrics.decisions, "/predict", "200")
    values = {
        tuple(sample.labels.values()): sample.value
        for family in metrics.requests.collect()
        for sample in family.samples
        if sample.name.endswith("_total")
    }
    assert values == {("/predict", "200"): 2.0, ("/predict", "503"): 1.0}
