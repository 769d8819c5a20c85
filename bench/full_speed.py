"""The generator at full speed into the broker."""

import time

import msgspec

from bench.environment import Environment
from bench.inputs import Input
from bench.outputs import Topic
from bench.programs import PYTHON, Running
from bench.result import Generator
from bench.stages import Say

LEFT_OUT = 0.1
"""The share at the beginning that does not count: the generator makes some hours of traffic before its clock starts."""

_POLL_SECONDS = 0.05


def full_speed(environment: Environment, made: Input, count: int, say: Say) -> Generator:
    """`python -m generator send --rate 0`, measured by the growth of its topic, after the first tenth."""
    settings = environment.settings("generator", made, {})
    say(f"{count:,} transactions at full speed into Kafka")
    size = ["--history", str(made.history), "--rate", "0", "--count", str(count), "--json"]
    topic = Topic(settings.kafka_bootstrap_servers, settings.transactions_topic)
    generator = Running("generator", settings.log_dir, [*PYTHON, "generator", "send", *size], settings.environment())
    grown: list[tuple[float, int]] = []
    try:
        while generator.pid is not None:
            grown.append((time.perf_counter(), topic.size()))
            time.sleep(_POLL_SECONDS)
        grown.append((time.perf_counter(), topic.size()))
        said = msgspec.json.decode(generator.wait().strip().splitlines()[-1])
    finally:
        generator.end(1.0)
        topic.close()
        environment.discard(settings)
    return Generator(count, growth_rate(grown, count), said["rate"])


def growth_rate(grown: list[tuple[float, int]], count: int) -> float:
    """Records a second from the first look at which `LEFT_OUT` of them was there to the first at which all were.

    >>> growth_rate([(0.0, 0), (1.0, 100), (2.0, 550), (3.0, 1000), (9.0, 1000)], 1000)
    450.0
    """
    begin = next(look for look in grown if look[1] >= LEFT_OUT * count)
    end = next(look for look in grown if look[1] >= count)
    return (end[1] - begin[1]) / (end[0] - begin[0]) if end[0] > begin[0] else 0.0
