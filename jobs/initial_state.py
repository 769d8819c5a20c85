"""The customers' folded past that a first start takes in, and its refusal where it means something else than is folded here."""

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from jobs.errors import Fatal
from jobs.routing import state_key
from ml.features import CUSTOMER, FOLD_VERSION
from settings import Settings


def initial_state(spark: SparkSession, settings: Settings) -> DataFrame | None:
    """(state_key, state) of each customer, as `ml.state.CustomerTable` wrote them; None where no past was given.

    Raises `Fatal` where the files are not there, or hold states that this version of the fold can't go on from.
    """
    if settings.initial_state is None:
        return None
    where = str(settings.initial_state)
    try:
        states = spark.read.parquet(where)
    except (PySparkException, Py4JJavaError) as error:
        raise Fatal(
            f"--initial-state {where} can't be read ({_cause(error)}): it is the customers.parquet that `make train` "
            "writes; train again, or start without it, with all customers new"
        ) from None
    _refuse_other(states, where)
    key = state_key(F.col("customer_id"), settings.state_partitions)
    return states.select(key.alias("state_key"), "state")


def _cause(error: PySparkException | Py4JJavaError) -> str:
    """In one line."""
    if isinstance(error, PySparkException):
        return error.getCondition() or type(error).__name__
    return str(error.java_exception.getMessage()).splitlines()[0]


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
