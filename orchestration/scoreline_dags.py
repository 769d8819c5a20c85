"""Scoreline's regular work as Airflow DAGs; this folder is their DAGs folder (docs/orchestration.md).

A task is given names and numbers alone: what it runs, and the secrets that it needs, come from the worker's environment.
"""

import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import scoreline_steps as steps
from airflow.sdk import DAG, Param, chain, get_current_context, task
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

_log: Final = logging.getLogger(__name__)
_options: Final = steps.Options.read()
_ROUTINE: Final = {
    "start_date": datetime(2026, 1, 1, tzinfo=UTC),
    "catchup": False,
    "max_active_runs": 1,
    "tags": ["scoreline"],
    "default_args": {
        "retries": _options.retries,
        "retry_delay": timedelta(seconds=_options.retry_seconds),
        "execution_timeout": timedelta(minutes=_options.step_minutes),
    },
}


def _run(step: steps.Step) -> list[str]:
    """Run a step; what said no is not tried again."""
    try:
        return steps.run(step, steps.Options.read(), _log)
    except steps.StepRefused as refusal:
        raise AirflowFailException(str(refusal)) from None


def _made(make: Callable[..., steps.Step | None], *values: Any) -> steps.Step:
    try:
        step = make(*values)
    except steps.StepRefused as refusal:
        raise AirflowFailException(str(refusal)) from None
    if step is None:
        raise AirflowSkipException("nothing is to be done")
    return step


def _plain_task(name: str, which: Callable[[], tuple[steps.Step, ...]]) -> Any:
    """A task that runs the step of this name among those that there are by then."""

    @task(task_id=name)
    def perform() -> None:
        _run(next(step for step in which() if step.name == name))

    return perform()


def _nightly_steps() -> tuple[steps.Step, ...]:
    return steps.nightly(steps.Options.read())


with DAG("scoreline_hourly", schedule="5 * * * *", doc_md="Drift and live quality.", **_ROUTINE) as hourly:
    for _step in steps.hourly():
        _plain_task(_step.name, steps.hourly)

with DAG("scoreline_nightly", schedule="30 2 * * *", doc_md="Keeps the lake small.", **_ROUTINE) as nightly:
    chain(*(_plain_task(_step.name, _nightly_steps) for _step in _nightly_steps()))


with DAG("scoreline_weekly", schedule="0 4 * * 1", doc_md="The data, and the models on them.", **_ROUTINE) as weekly:

    @task
    def backtest() -> None:
        """What the champion would have flagged."""
        version = steps.version_with("champion", steps.Options.read(), _log)
        if version is None:
            raise AirflowSkipException("there is no champion")
        _run(_made(steps.backtest, version, steps.Options.read().history))

    @task
    def gate_challenger() -> None:
        """Whether the challenger, where there is one, may be promoted."""
        version = steps.version_with("challenger", steps.Options.read(), _log)
        if version is None:
            raise AirflowSkipException("there is no challenger")
        _run(_made(steps.gate, version, steps.Options.read().history))

    _plain_task("data_quality", lambda: (steps.data_quality(),))
    backtest()
    gate_challenger()


_RETRAIN: Final = {
    "history": Param("", type="string", description="To train on; empty: SCORELINE_HISTORY."),
    "detector": Param("isolation_forest", type="string", pattern="^[a-z_]+$", description="What is trained."),
    "then": Param("challenge", enum=list(steps.THEN), description="What it becomes once the gate let it pass."),
}

with DAG("scoreline_retrain", schedule=None, params=_RETRAIN, doc_md="Retraining on demand.", **_ROUTINE) as retrain:

    def _history() -> str:
        return get_current_context()["params"]["history"] or steps.Options.read().history

    @task
    def train() -> int:
        """Train a version, and say which it is."""
        detector, more = get_current_context()["params"]["detector"], steps.Options.read().train_options
        return steps.new_version(_run(_made(steps.train, _history(), detector, more)))

    @task
    def gate(version: int) -> int:
        """Let the gate check it."""
        _run(_made(steps.gate, version, _history()))
        return version

    @task
    def become(version: int) -> None:
        """Put it on trial, or promote it."""
        _run(_made(steps.become, version, get_current_context()["params"]["then"]))

    become(gate(train()))


_PULL: Final = {
    "url": Param("", type="string", description="Of the REST service; empty: SCORELINE_PULL_URL."),
    "mapping": Param(
        "", type="string", description="A format or a mapping file; empty: SCORELINE_PULL_OPTIONS says it."
    ),
}

with DAG(
    "scoreline_pull",
    schedule=timedelta(minutes=5) if _options.pull_url else None,
    params=_PULL,
    doc_md="Transactions from a REST service into Kafka.",
    **_ROUTINE,
) as pull:

    @task(task_id="pull")
    def take() -> None:
        """Take what there is."""
        params, options = get_current_context()["params"], steps.Options.read()
        mapping = ("--mapping", params["mapping"]) if params["mapping"] else ()
        _run(_made(steps.pull, params["url"] or options.pull_url, (*options.pull_options, *mapping)))

    take()
