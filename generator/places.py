"""The countries and places where the simulated customers live, shop, travel, and are robbed."""

from typing import Final, NamedTuple

import numpy as np
from faker import Faker

from generator.arrays import Array, zipf_weights


class Country(NamedTuple):
    """A country: its standard time, and how many of the customers travel or live there.

    `visits` is the share of trips that lead there; `far` marks where cloned European cards are typically used; `rises` is
    the share of trips that lead there once a drift has made new countries popular; `home` is the share of customers who
    live there (0: none), and the rest is theirs: the currency of their accounts, how much of it one euro is, and the Faker
    locale of their names.
    """

    code: str
    utc_offset: int
    visits: float
    far: bool = False
    rises: float = 0.0
    home: float = 0.0
    currency: str = "EUR"
    per_euro: float = 1.0
    locale: str = "en_US"


COUNTRIES: Final = (
    Country("DE", 1, 0.08, home=0.24, locale="de_DE"),
    Country("FR", 1, 0.12, home=0.18, locale="fr_FR"),
    Country("IT", 1, 0.12, home=0.14, locale="it_IT"),
    Country("ES", 1, 0.15, home=0.13, locale="es_ES"),
    Country("NL", 1, 0.04, home=0.09, locale="nl_NL"),
    Country("BE", 1, 0.02, home=0.05, locale="nl_BE"),
    Country("PT", 0, 0.06, home=0.05, locale="pt_PT"),
    Country("AT", 1, 0.05, home=0.04, locale="de_AT"),
    Country("IE", 0, 0.01, home=0.02, locale="en_IE"),
    Country("GB", 0, 0.07, home=0.04, currency="GBP", per_euro=0.86, locale="en_GB"),
    Country("CH", 1, 0.02, home=0.01, currency="CHF", per_euro=0.95, locale="de_CH"),
    Country("PL", 1, 0.02, home=0.01, currency="PLN", per_euro=4.3, locale="pl_PL"),
    Country("TR", 3, 0.08),
    Country("CZ", 1, 0.03),
    Country("MA", 1, 0.02),
    Country("US", -5, 0.04, far=True),
    Country("TH", 7, 0.02, far=True),
    Country("JP", 9, 0.01, far=True),
    Country("MX", -6, 0.01, far=True),
    Country("BR", -3, 0.01, far=True),
    Country("ID", 7, 0.01, far=True),
    Country("PH", 8, 0.005, far=True),
    Country("CN", 8, 0.005, far=True),
    Country("HR", 1, 0.0, rises=0.4),
    Country("BG", 2, 0.0, rises=0.35),
    Country("TN", 1, 0.0, rises=0.25),
)

PER_EURO: Final = np.array([country.per_euro for country in COUNTRIES])

CITY, WEB, BANK = range(3)
PLACE: Final = np.dtype(
    [
        ("kind", "i1"),
        ("country", "i1"),
        ("latitude", "f8"),
        ("longitude", "f8"),
        ("weight", "f8"),
        ("visits", "f8"),
        ("rises", "f8"),
    ]
)
"""One place: a city, or a country's online shops or bank accounts, which have no coordinates (NaN).

`weight` is the share of the bank's customers that it serves, `visits` the share of trips that lead there, `rises` the same
for trips to countries that a drift makes popular.
"""

HOME_CITIES, VISITED_CITIES = 7, 3


def make_places(fake: Faker) -> Array:
    """All places (n,) PLACE: cities with coordinates from Faker, then the online shops and the banks of each country."""
    rows = [row for number, country in enumerate(COUNTRIES) for row in _cities(fake, number, country)]
    for number, country in enumerate(COUNTRIES):
        if country.home or country.code in ("US", "CN"):
            rows.append((WEB, number, np.nan, np.nan, country.home or 0.08, 0.0, 0.0))
    rows += [
        (BANK, number, np.nan, np.nan, country.home, 0.0, 0.0)
        for number, country in enumerate(COUNTRIES)
        if country.home
    ]
    return np.array(rows, PLACE)


def _cities(fake: Faker, number: int, country: Country) -> list[tuple[int, int, float, float, float, float, float]]:
    wanted = HOME_CITIES if country.home else VISITED_CITIES
    found: dict[tuple[float, float], None] = {}
    for _ in range(4 * wanted):  # Faker repeats itself, and knows only two towns of some countries
        town = fake.local_latlng(country_code=country.code)
        if town is None:
            raise LookupError(f"Faker knows no town in {country.code}")
        found[float(town[0]), float(town[1])] = None
    chosen = list(found)[:wanted]
    shares = zipf_weights(len(chosen), 0.7)
    return [
        (CITY, number, latitude, longitude, country.home * share, country.visits * share, country.rises * share)
        for (latitude, longitude), share in zip(chosen, shares, strict=True)
    ]


def distance_km(latitude: Array, longitude: Array, other_latitude: Array, other_longitude: Array) -> Array:
    """Great-circle distances in km between points in degrees, element by element (haversine formula, radius 6,371 km)."""
    a, b = np.radians(latitude), np.radians(other_latitude)
    half = np.sin((b - a) / 2) ** 2 + np.cos(a) * np.cos(b) * np.sin(np.radians(other_longitude - longitude) / 2) ** 2
    distance: Array = 2 * 6371.0 * np.arcsin(np.sqrt(half))
    return distance
