"""Makes the samples: invented rows in the shape that PaySim, Sparkov and the ULB file are published in.

Columns, their order, quoting, number formats and units are the publishers'; every value is drawn here.
"""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import numpy as np

from generator.samples.others import OTHERS

FOLDER: Final = Path(__file__).parent
PAYSIM: Final = (
    "step,type,amount,nameOrig,oldbalanceOrg,newbalanceOrig,nameDest,oldbalanceDest,newbalanceDest,"
    "isFraud,isFlaggedFraud"
)
SPARKOV: Final = (
    ",trans_date_trans_time,cc_num,merchant,category,amt,first,last,gender,street,city,state,zip,lat,long,city_pop,job,dob,"
    "trans_num,unix_time,merch_lat,merch_long,is_fraud"
)
_TYPES: Final = ("PAYMENT", "CASH_OUT", "CASH_IN", "TRANSFER", "DEBIT")
_CATEGORIES: Final = ("grocery_pos", "gas_transport", "home", "shopping_net", "misc_net", "food_dining")
_MERCHANTS: Final = ("Alder, Birch and Cole", "Dorn-Elm", "Fern Ltd", "Gorse PLC", '"Hazel" Inc')
_SEVEN_YEARS: Final = (
    220_924_800  # by which unix_time is behind trans_date_trans_time in the published file: 2012 for 2019
)


def paysim(rng: np.random.Generator) -> Iterator[str]:
    """1,100 rows of two days; in each hour some, and an emptied account every six hours: a TRANSFER, then a CASH_OUT."""
    yield PAYSIM
    for step in range(1, 49):
        if step % 6 == 0:
            loot = round(float(rng.lognormal(12, 1)), 2)
            yield from (_paysim_row(rng, step, kind, loot, loot, 1) for kind in ("TRANSFER", "CASH_OUT"))
        for kind in rng.choice(_TYPES, rng.integers(12, 34), p=[0.34, 0.35, 0.22, 0.08, 0.01]):
            amount, before = round(float(rng.lognormal(9, 1.5)), 2), round(float(rng.lognormal(9, 2)), 2)
            yield _paysim_row(rng, step, kind, amount, before, 0)


def _paysim_row(rng: np.random.Generator, step: int, kind: str, amount: float, before: float, fraud: int) -> str:
    origin, other = rng.integers(10**8, 2 * 10**9, 2)
    after = round(before + amount if kind == "CASH_IN" else max(before - amount, 0), 2)
    to = "M" if kind == "PAYMENT" else "C"
    return f"{step},{kind},{amount},C{origin},{before},{after},{to}{other},0.0,0.0,{fraud},0"


def sparkov(rng: np.random.Generator) -> Iterator[str]:
    """320 rows of a week, of twelve cards; one card is stolen and used at night. Some fields hold commas and quotes."""
    yield SPARKOV
    cards = [_card(rng) for _ in range(12)]
    times = np.sort(rng.integers(0, 7 * 86_400, 320))
    for number, second in enumerate(times):
        stolen = second % 86_400 < 3 * 3_600 and second > 3 * 86_400
        card = cards[0] if stolen else cards[rng.integers(1, len(cards))]
        yield _sparkov_row(rng, number, int(second), card, int(stolen))


def _card(rng: np.random.Generator) -> tuple[str, str, float, float]:
    """A card's number; its holder, name to ZIP; home; what follows home."""
    latitude, longitude = round(float(rng.uniform(30, 45)), 4), round(float(rng.uniform(-115, -75)), 4)
    first, last = rng.choice(["Ada", "Ben", "Cleo", "Dan"]), rng.choice(["Ash", "Brook", "Clay", "Dale"])
    person = (
        f"{first},{last},{'F' if first in ('Ada', 'Cleo') else 'M'},{rng.integers(1, 999)} Elm Street,Newtown,OH,01234"
    )
    return f"{rng.integers(4 * 10**15, 5 * 10**15)},", person, latitude, longitude


def _sparkov_row(
    rng: np.random.Generator, number: int, second: int, card: tuple[str, str, float, float], fraud: int
) -> str:
    digits, person, latitude, longitude = card
    when = datetime(2019, 1, 1, tzinfo=UTC) + timedelta(seconds=second)
    category = "shopping_net" if fraud else rng.choice(_CATEGORIES)
    amount = round(float(rng.normal(900, 150) if fraud else rng.lognormal(3.5, 1)), 2)
    merchant = "fraud_" + str(rng.choice(_MERCHANTS)).replace('"', '""')
    merchant = f'"{merchant}"' if "," in merchant or '"' in merchant else merchant
    near = f"{latitude + rng.uniform(-1, 1):.6f},{longitude + rng.uniform(-1, 1):.6f}"
    return (
        f"{number},{when:%Y-%m-%d %H:%M:%S},{digits}{merchant},{category},{amount},{person},{latitude},{longitude},"
        f'{3495 + number % 7},"Engineer, civil",1980-02-29,{rng.bytes(16).hex()},{int(when.timestamp()) - _SEVEN_YEARS},'
        f"{near},{fraud}"
    )


def ulb(rng: np.random.Generator) -> Iterator[str]:
    """150 rows of two days, quoted as published; one time is written 1e+05, as R writes it. V14 and V17 show fraud."""
    yield ",".join(f'"{name}"' for name in ("Time", *(f"V{i}" for i in range(1, 29)), "Amount", "Class"))
    for n, second in enumerate(np.sort(np.append(rng.integers(0, 172_800, 149), 100_000))):
        fraud = n % 25 == 24
        components = rng.normal(0, np.linspace(2, 0.3, 28)) - 6 * fraud * np.isin(np.arange(1, 29), (14, 17))
        time = "1e+05" if second == 100_000 else str(second)
        values = ",".join(f"{value:.13f}" for value in components)
        yield f'{time},{values},{round(float(rng.lognormal(3, 1.5)), 2):g},"{int(fraud)}"'


SAMPLES: Final[dict[str, Callable[[np.random.Generator], Iterator[str]]]] = {
    "paysim.csv": paysim,
    "sparkov.csv": sparkov,
    "ulb.csv": ulb,
    **OTHERS,
}


def sample(name: str) -> bytes:
    """A sample's bytes: the same each time."""
    return "".join(f"{line}\n" for line in SAMPLES[name](np.random.default_rng(1))).encode()


def main() -> None:
    """Write the samples beside this file."""
    for name in SAMPLES:
        (FOLDER / name).write_bytes(sample(name))


if __name__ == "__main__":
    main()
