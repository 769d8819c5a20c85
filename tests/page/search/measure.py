"""What keeping the live feed costs, and searching it: `python -m tests.page.search.measure`, a minute or two."""

import random
import tempfile
import time
from datetime import timedelta
from pathlib import Path
from typing import Final

from page.payment import Payment
from page.search.csv_file import lines
from page.search.kept_scores import KeptScores
from page.search.wanted import Wanted
from tests.page.search.payments import START

MOST: Final = 1_000_000
PIECES: Final = 1_150
"""Of 1,000 transactions each: some more than are kept."""
SEARCHES: Final = {
    "the newest": Wanted(),
    "a customer": Wanted(customer="C77"),
    "a merchant": Wanted(merchant="M77"),
    "ids that begin so": Wanted(transaction="00ab*"),
    "the highest scores": Wanted(order="score"),
    "what is nowhere, by no index": Wanted(merchant="M*", below=-1.0),
}


def piece(draw: random.Random, first: int) -> list[Payment]:
    """1,000 of 50,000 customers at 5,000 merchants."""
    return [
        Payment(
            *(2, f"{draw.getrandbits(64):016x}", f"C{draw.randrange(50_000)}", START + timedelta(milliseconds=number)),
            *(10.0, number % 4, number, number, draw.random(), 0.9, number % 200 == 0, 3),
            *("EUR", f"M{draw.randrange(5_000)}", "food", "FR", None, None, "online", None),
        )
        for number in range(first, first + 1_000)
    ]


def main() -> None:
    """Print the figures."""
    draw = random.Random(101)
    with tempfile.TemporaryDirectory() as folder:
        kept = KeptScores(Path(folder) / "scores.db", MOST, 72.0, lambda: time.time_ns() // 1_000_000)
        cpu = wall = worst = 0.0
        for number in range(PIECES):
            some = piece(draw, 1_000 * number)
            began, cpu_began = time.perf_counter(), time.process_time()
            kept.add(some)
            cpu += time.process_time() - cpu_began
            wall, worst = wall + time.perf_counter() - began, max(worst, time.perf_counter() - began)
        size = sum(file.stat().st_size for file in Path(folder).iterdir())
        each = 1_000 / PIECES  # ms of a piece
        print(f"{each * cpu:.1f} ms of CPU and {each * wall:.1f} ms in all for 1,000; at most {1_000 * worst:.0f} ms")
        print(f"{kept.span().number:,} kept in {size / 1e6:,.0f} MB")
        for name, wanted in SEARCHES.items():
            began = time.perf_counter()
            found = len(kept.find(wanted, 51, 0, 60.0))
            print(f"{name}: {found} in {1000 * (time.perf_counter() - began):.0f} ms")
        began = time.perf_counter()
        file = sum(map(len, lines(kept.rows(Wanted(), 100_001, 60.0), 100_000)))
        print(f"export of 100,000: {file / 1e6:.1f} MB in {time.perf_counter() - began:.1f} s")
        kept.close()


if __name__ == "__main__":
    main()
