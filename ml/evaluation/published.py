"""What others have published of detectors on the data that we measure too, to set beside our own figures."""

from typing import Final

import msgspec

HANDBOOK_BOOK: Final = (
    "Y.-A. Le Borgne, W. Siblini, B. Lebichot, G. Bontempi, Reproducible Machine Learning for Credit Card Fraud Detection – "
    "Practical Handbook, 2022"
)


class Published(msgspec.Struct, frozen=True):
    """A detector's published figures; two are a range's ends."""

    auc: tuple[float, float]
    average_precision: tuple[float, float]


HANDBOOK: Final = {
    "isolation_forest": Published((0.808, 0.826), (0.164, 0.261)),
    "random_forest": Published((0.867, 0.867), (0.658, 0.658)),
    "xgboost": Published((0.862, 0.862), (0.639, 0.639)),
    "xgboost, tuned": Published((0.870, 0.870), (0.687, 0.687)),
}
"""On one draw of the Handbook's world, with features of customers and of terminals' risk; by our names of the detectors."""
