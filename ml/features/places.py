"""Places on the globe, compiled: in the steps that a state keeps, and the distance between two."""

import math

import numpy as np

from ml.compiling import compiled
from ml.features.state_schema import LATITUDE_STEP, LONGITUDE_STEP, NO_PLACE


@compiled
def stepped(event):  # type: ignore[no-untyped-def]
    """The place of an event in steps, NO_PLACE where one of the two is unknown."""
    if math.isnan(event["latitude"]) or math.isnan(event["longitude"]):
        return np.int16(NO_PLACE), np.int16(NO_PLACE)
    return (
        np.int16(round(np.float64(event["latitude"]) / LATITUDE_STEP)),
        np.int16(round(np.float64(event["longitude"]) / LONGITUDE_STEP)),
    )


@compiled
def distance_km(latitude1, longitude1, latitude2, longitude2):  # type: ignore[no-untyped-def]
    """Great-circle distance by the haversine formula (R. W. Sinnott, Sky & Telescope 68, 1984), on a 6,371 km sphere."""
    degree = math.pi / 180
    a = (
        math.sin((latitude2 - latitude1) * degree / 2) ** 2
        + math.cos(latitude1 * degree)
        * math.cos(latitude2 * degree)
        * math.sin((longitude2 - longitude1) * degree / 2) ** 2
    )
    return 2 * 6371.0 * math.asin(math.sqrt(min(1.0, a)))
