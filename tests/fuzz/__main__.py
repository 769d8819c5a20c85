"""Fuzzing for as long as one likes: python -m tests.fuzz --messages 1000000. The last line says how many there were.

Where atheris is installed its mutations are led by the lines of our code that they reach, and each of them brings some
more that are changed in their structure. Elsewhere all are made from valid messages at random.
"""

import argparse
import os
import sys
import time
from pathlib import Path
from random import Random
from types import FunctionType

from detection import engine, halves, intake, message_parsing
from ml import segments
from settings import private_files
from tests.fuzz import mutate, way

try:
    import atheris
except ImportError:
    atheris = None

CORPUS = Path(__file__).parent / "corpus"
"""Messages that were found to reach lines of their own, and those that once did harm."""
FOUND = Path(".scoreline/fuzz")
AT_ONCE = 25
LED_BY = (message_parsing, intake, engine, halves, segments)
"""The modules whose branches lead the mutations. Of compiled code (numba, msgspec) nothing is seen."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    options = parser.parse_args()
    (FOUND / "corpus").mkdir(parents=True, exist_ok=True)
    count = Count(options.messages, options.seed)
    if atheris is None:
        random = Random(options.seed)
        while True:
            count.check([mutate.hostile(random) for _ in range(20 * AT_ONCE)])

    def one(data: bytes) -> None:
        random = Random(data)
        count.check([data, *(mutate.mutated(data, random) for _ in range(AT_ONCE - 1))])

    def mutator(data: bytes, max_size: int, seed: int) -> bytes:
        random = Random(seed)
        if random.random() < 0.3:
            return bytes(atheris.Mutate(data, max_size))
        return mutate.mutated(data, random)[:max_size]

    for module in LED_BY:
        for function in vars(module).values():
            if isinstance(function, FunctionType) and function.__module__ == module.__name__:
                atheris.instrument_func(function)
    flags = [f"-seed={options.seed % (1 << 31)}", "-max_len=8192", "-rss_limit_mb=0", f"-artifact_prefix={FOUND}/"]
    atheris.Setup([sys.argv[0], *flags, str(FOUND / "corpus"), str(CORPUS)], one, custom_mutator=mutator)
    atheris.Fuzz()


class Count:
    """Counts messages, and ends the process when there have been enough, or one of them breaks a promise."""

    def __init__(self, wanted: int, seed: int) -> None:
        self._wanted, self._seed, self._began = wanted, seed, time.monotonic()
        self._messages = self._scored = 0

    def check(self, hostile: "list[bytes]") -> None:
        try:
            self._scored += way.check(hostile)
        except AssertionError as error:
            (FOUND / f"found-{int(time.time())}.txt").write_text(f"{error}\n{error.__cause__!r}\n")
            print(f"after {self._messages:,} messages (seed {self._seed}): {str(error)[:2_000]}\n{error.__cause__!r}")
            self._end(1)
        self._messages += len(hostile)
        if self._messages >= self._wanted:
            print(
                f"{self._messages:,} hostile messages, {self._scored:,} of them scored, all others dead letters, in "
                f"{time.monotonic() - self._began:,.0f} s (seed {self._seed}, {'coverage-guided' if atheris else 'at random'})"
            )
            self._end(0)

    def _end(self, status: int) -> None:
        sys.stdout.flush()
        os._exit(status)  # libFuzzer knows no other end


if __name__ == "__main__":
    private_files()
    main()
