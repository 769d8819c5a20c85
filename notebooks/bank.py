"""A small simulated bank for the notebooks: its payments as one table, each with its features and the truth."""

import warnings
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from generator.history import TRUTH_FILE, Origin, write_history
from generator.population import Population, make_population
from ml.dataset.history import History
from ml.features import FEATURES
from ml.features.customers import CustomerTable
from ml.features.events import events_from_arrow

# Optuna asks for progress bars of ipywidgets, which are not here; nothing in the notebooks shows one.
warnings.filterwarnings("ignore", "IProgress not found")

HONEST: Final = "#8a97a6"
FRAUD: Final = "#d1495b"
ACCENT: Final = "#1b6ca8"
"""The colours that all pictures share."""

UNITS: Final = {
    "log_amount": "log (1 + amount)",
    "hour_of_day": "hour (UTC)",
    **dict.fromkeys(("count_10m", "count_1h", "count_24h"), "payments"),
    **dict.fromkeys(("sum_1h", "sum_24h"), "own currency"),
    "amount_z": "standard deviations",
    "amount_ratio": "times the mean amount",
    "log_seconds_since_previous": "log (1 + seconds)",
    "distance_km": "km",
    "speed_kmh": "km/h",
    "channel_number": "1 contactless … 5 transfer",
    "roundness": "0 cents, 1 whole, 2 tens, 3 fifties",
    **dict.fromkeys(("small_count_1h", "channel_count_24h", "first_merchants_24h", "first_countries_24h"), "payments"),
    "log_amount_ratio": "log of times the typical amount",
    "country_share": "share of the payments",
    "log_device_age_seconds": "log (1 + seconds)",
}
"""What the features are in; those that are missing here are 0 for no and 1 for yes."""

END: Final = datetime(2026, 5, 4, tzinfo=UTC)
"""Where every run ends: fixed, so that a seed draws the same pictures on any day."""


def simulate(folder: Path, customers: int, days: int, seed: int) -> Population:
    """Write an ordinary run's history into a folder, and return its population."""
    population = make_population(seed, customers)
    write_history(folder, Origin(seed, customers, END, days), population)
    return population


def read(folder: Path) -> pd.DataFrame:
    """The payments of a history in order of time: their own fields, their features, is_fraud, scenario and campaign.

    scenario and campaign are missing where a payment is honest.
    """
    customers, pieces = CustomerTable(), []
    for piece in History.open(folder).pieces():
        folded = customers.fold(piece["customer_id"], events_from_arrow(piece))
        features = pd.DataFrame(folded.features, columns=list(FEATURES))
        pieces.append(pd.concat([piece.to_pandas(), features], axis=1))
    payments = pd.concat(pieces, ignore_index=True)
    truth = pq.read_table(
        folder / TRUTH_FILE, columns=["transaction_id", "is_fraud", "scenario", "campaign"]
    ).to_pandas()
    payments = payments.join(truth.set_index("transaction_id"), on="transaction_id")
    payments["is_fraud"] = payments["is_fraud"].eq(True)
    return payments


def kilometres(payments: pd.DataFrame, latitude: float, longitude: float) -> pd.Series:
    """How far each payment's place is from another one, on a sphere; NaN where it has no place."""
    one, other = np.radians(payments[["latitude", "longitude"]]), np.radians([latitude, longitude])
    cosine = np.sin(one["latitude"]) * np.sin(other[0]) + np.cos(one["latitude"]) * np.cos(other[0]) * np.cos(
        one["longitude"] - other[1]
    )
    return pd.Series(6371.0 * np.arccos(cosine.clip(-1, 1)), payments.index)
