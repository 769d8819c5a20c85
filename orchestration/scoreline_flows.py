"""Scoreline's regular work as Prefect flows: `python orchestration/scoreline_flows.py` serves them on their schedules.

A task is given a step of names and numbers alone: the secrets that a command needs come from the environment.
"""

from typing import Any, Final

import scoreline_steps as steps
from prefect import flow, get_run_logger, serve, task
from prefect.cache_policies import NO_CACHE
from prefect.futures import wait

_options: Final = steps.Options.read()


def _may_help(_task: Any, _run: Any, state: Any) -> bool:
    """Whether a step that failed is tried again: not where it worked and said no."""
    return not isinstance(state.result(raise_on_failure=False), steps.StepRefused)


@task(
    task_run_name="{step.name}",
    retries=_options.retries,
    retry_delay_seconds=_options.retry_seconds,
    retry_condition_fn=_may_help,
    timeout_seconds=_options.step_minutes * 60,
    cache_policy=NO_CACHE,
    persist_result=False,
)
def run(step: steps.Step) -> list[str]:
    """Run a step of Scoreline to its end; returns its lines."""
    return steps.run(step, steps.Options.read(), get_run_logger())


def _beside(*all_steps: steps.Step) -> None:
    """Run steps side by side; each runs to its end, and then the first failure is raised."""
    futures = [run.submit(step) for step in all_steps]
    wait(futures)
    for future in futures:
        future.result()


@flow(name="scoreline-hourly")
def hourly() -> None:
    """Drift and live quality."""
    _beside(*steps.hourly())


@flow(name="scoreline-nightly")
def nightly() -> None:
    """Keep the lake small."""
    for step in steps.nightly(steps.Options.read()):
        run(step)


@flow(name="scoreline-weekly")
def weekly() -> None:
    """The data, the champion on the history, and the challenger where there is one."""
    options, log = steps.Options.read(), get_run_logger()
    champion, challenger = (steps.version_with(alias, options, log) for alias in ("champion", "challenger"))
    tested = [steps.data_quality()]
    tested += [steps.backtest(champion, options.history)] if champion is not None else []
    tested += [steps.gate(challenger, options.history)] if challenger is not None else []
    _beside(*tested)


@flow(name="scoreline-retrain")
def retrain(history: str = "", detector: str = "isolation_forest", then: str = "challenge") -> int:
    """Train a version, let the gate check it, and put it on trial or promote it; returns which it is."""
    options = steps.Options.read()
    past = history or options.history
    version = steps.new_version(run(steps.train(past, detector, options.train_options)))
    last = steps.become(version, then)
    run(steps.gate(version, past))
    if last is not None:
        run(last)
    return version


@flow(name="scoreline-pull")
def pull(url: str = "", mapping: str = "") -> None:
    """Take what a REST service has into Kafka."""
    options = steps.Options.read()
    chosen = ("--mapping", mapping) if mapping else ()
    run(steps.pull(url or options.pull_url, (*options.pull_options, *chosen)))


def main() -> None:
    """Serve the flows: those with a schedule by the clock (UTC), the others on demand."""
    serve(
        hourly.to_deployment("hourly", cron="5 * * * *"),
        nightly.to_deployment("nightly", cron="30 2 * * *"),
        weekly.to_deployment("weekly", cron="0 4 * * 1"),
        retrain.to_deployment("retrain"),
        pull.to_deployment("pull", interval=300 if _options.pull_url else None),
    )


if __name__ == "__main__":
    main()
