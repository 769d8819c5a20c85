"""The past that a first start takes in, customers' states and profiles, and its refusal where it has another meaning."""

import re

from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from jobs.runtime.errors import Fatal
from jobs.runtime.storage import DurableFolder
from jobs.source.routing import state_key
from ml.features import CUSTOMER, FOLD_VERSION
from settings import Settings
from versions.errors import PastUnusable
from versions.past_profiles import PastProfiles, read_past_profiles


def initial_state(spark: SparkSession, settings: Settings, currency_version: str = "") -> DataFrame | None:
    """(state_key, state) of each customer, as `ml.features.customers.CustomerTable` wrote them; None where no past was given.

    Raises `Fatal` where the files are not there, or hold states that this version of the fold can't go on from, or that were
    folded by other currency rates than those of `currency_version`.
    """
    if settings.initial_state is None:
        return None
    where = str(settings.initial_state)
    try:
        # What Spark takes for wildcards is here part of a name.
        states = spark.read.parquet(re.sub(r"([\\*?{}\[\]])", r"\\\1", where))
    except Exception as error:  # noqa: BLE001  # a file system that can not be had raises what it likes
        why = error.getCondition() if isinstance(error, AnalysisException) else str(error).strip().splitlines()[0][:300]
        raise Fatal(
            f"--initial-state {where} can't be read ({why}): it is the customers.parquet that `make train` writes, and a first "
            "start needs it until its first micro-batch is done; train again, or start without it, with all customers new"
        ) from None
    _refuse_other(states, where)
    _refuse_other_rates(states, where, currency_version)
    key = state_key(F.col("customer_id"), settings.state_partitions)
    return states.select(key.alias("state_key"), "state")


def _refuse_other(states: DataFrame, where: str) -> None:
    types = dict(states.dtypes)
    if types.get("customer_id") != "string" or types.get("state") != "binary":
        came = ", ".join(f"{name} ({of})" for name, of in types.items())
        raise Fatal(
            f"--initial-state {where} must have the columns customer_id (string) and state (binary), but it has {came}: "
            "give it the customers.parquet that `make train` writes"
        )
    version = F.col("fold_version").cast("int") if "fold_version" in types else F.lit(1)
    of_other_version = ~version.eqNullSafe(F.lit(FOLD_VERSION))
    of_other_size = ~F.octet_length("state").eqNullSafe(F.lit(CUSTOMER.itemsize))
    counts = states.agg(F.count_if(of_other_version), F.min(version), F.count_if(of_other_size)).first()
    others, lowest, odd = counts or (0, None, 0)
    if others:
        raise Fatal(
            f"--initial-state {where} holds states of fold version {lowest}, and this version folds by {FOLD_VERSION}: what "
            "they mean has changed. Fold the history again with `make train` (python -m ml train HISTORY)"
        )
    if odd:
        raise Fatal(
            f"--initial-state {where} is damaged: {odd:,} of its states have not the {CUSTOMER.itemsize} bytes that one has. "
            "Fold the history again with `make train` (python -m ml train HISTORY)"
        )


def _refuse_other_rates(states: DataFrame, where: str, wanted: str) -> None:
    if "currency_version" not in states.columns:
        return
    came = states.where(~F.col("currency_version").eqNullSafe(F.lit(wanted))).select("currency_version").first()
    if came is not None:
        raise Fatal(
            f"--initial-state {where} was folded by the currency rates {came[0]}, and this job folds by {wanted or 'none'}: "
            "give `make train` (python -m ml train HISTORY) and the job the same SCORELINE_CURRENCY_RATES"
        )


def past_profiles(spark: SparkSession, settings: Settings) -> PastProfiles | None:
    """The profiles beside the customers' state, as `python -m ml train --state-out` writes them; None where there are none.

    Raises `Fatal` where they are damaged, or of blocks of another length.
    """
    if settings.initial_state is None:
        return None
    where = str(settings.initial_state)
    folder = DurableFolder(spark, where.rstrip("/").rpartition("/")[0] or ".", create=False)
    try:
        return read_past_profiles(folder, where, settings.profile_block_seconds)
    except PastUnusable as error:
        raise Fatal(str(error)) from error
