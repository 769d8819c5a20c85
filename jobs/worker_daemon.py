"""Spark's Python daemon, with what Scoreline's workers need already imported, so that a new worker is forked at once."""

import gc

import numpy as np
from pyspark.daemon import manager

import jobs.customer_fold
import jobs.publish_points
import jobs.scoring  # noqa: F401
from detection.score_json import heads
from jobs.runtime.initial_rows import bound_memory
from ml.features import EVENT, FEATURES, fold
from ml.features.customers import Customers, identify
from ml.features.profiles import Profiles
from ml.scorers.warm_up import warm_up

if __name__ == "__main__":
    bound_memory()
    # Compiled code is loaded by its first call; the workers inherit it.
    customers = Customers()
    rows = customers.locate(identify(["anybody"]))
    fold(customers.states, rows, np.zeros(1, EVENT))
    none = np.zeros(0, np.bool_)
    heads([], [], none, none, np.zeros((0, len(FEATURES))))
    warm_up()
    Profiles.empty(0).features(np.zeros(0, np.uint64), np.zeros(0, np.uint64), np.zeros(0))
    # A micro-batch is many small objects without cycles, which Python's collector would search again and again.
    gc.freeze()
    gc.set_threshold(500_000, 20, 100)
    manager()
