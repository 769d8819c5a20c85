"""A small history with labels, as the tests of models have it."""

from tests.ml.conftest import history_folder, labelled_folder, transactions  # noqa: F401

collect_ignore = ["airflow_runs.py", "prefect_runs.py"]  # which run in other environments
