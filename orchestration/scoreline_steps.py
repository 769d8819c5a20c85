"""The steps that an orchestrator runs: commands of `scoreline`, each a process of Scoreline's own environment.

Nothing but the standard library is imported here, so that Airflow's and Prefect's packages never meet Scoreline's.
"""

import json
import logging
import os
import re
import shlex
import signal
import subprocess
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self
from urllib.parse import urlsplit

REFUSED: Final = 3
"""The exit status of a command that worked and found something: drift, a model that does not pass, records that don't fit."""

THEN: Final = ("challenge", "promote", "nothing")
"""What a new version may become once the gate let it pass."""

_CHECKOUT: Final = Path(__file__).resolve().parents[1]
_OF_ORCHESTRATORS: Final = ("AIRFLOW_", "_AIRFLOW_", "PREFECT_")
_LAST_LINES: Final = 20
_GRACE_SECONDS: Final = 20.0


class StepFailed(Exception):
    """A command ended with an error, or could not be started; the text has its line. Trying again may help."""


class StepRefused(StepFailed):
    """A command worked and said no, or can't be called as it was asked for: trying again says the same."""


@dataclass(frozen=True)
class Options:
    """What the environment says of the steps. command: what `scoreline` is; folder: where it runs; the rest: see the docs."""

    command: tuple[str, ...]
    folder: Path
    history: str
    train_options: tuple[str, ...]
    pull_url: str
    pull_options: tuple[str, ...]
    lake_days: str
    retries: int
    retry_seconds: float
    step_minutes: float

    @classmethod
    def read(cls, environment: Mapping[str, str] | None = None) -> Self:
        """From SCORELINE_… variables; without them, those of a checkout with its `.venv`."""
        of = os.environ if environment is None else environment
        here = f"{shlex.quote(str(_CHECKOUT / '.venv/bin/python'))} {shlex.quote(str(_CHECKOUT / 'scoreline.py'))}"
        return cls(
            tuple(shlex.split(of.get("SCORELINE_COMMAND") or here)),
            Path(of.get("SCORELINE_FOLDER") or _CHECKOUT),
            of.get("SCORELINE_HISTORY") or ".scoreline/history",
            tuple(shlex.split(of.get("SCORELINE_TRAIN_OPTIONS", ""))),
            of.get("SCORELINE_PULL_URL", ""),
            tuple(shlex.split(of.get("SCORELINE_PULL_OPTIONS", ""))),
            of.get("SCORELINE_LAKE_DAYS", ""),
            int(of.get("SCORELINE_STEP_RETRIES") or 2),
            float(of.get("SCORELINE_STEP_RETRY_SECONDS") or 300),
            float(of.get("SCORELINE_STEP_MINUTES") or 180),
        )


@dataclass(frozen=True)
class Step:
    """One command: its arguments behind `scoreline`. noted: exit statuses that are a finding to log, and no failure."""

    name: str
    arguments: tuple[str, ...]
    noted: tuple[int, ...] = ()

    @property
    def line(self) -> str:
        """The command as a person would type it.

        >>> Step("status", ("lake", "status", "--lake", "my lake")).line
        "scoreline lake status --lake 'my lake'"
        """
        return shlex.join(("scoreline", *self.arguments))


def hourly() -> tuple[Step, ...]:
    """Is traffic still what it was, and how good are the judgements: side by side."""
    return Step("drift", ("drift", "--influxdb")), Step("quality", ("quality", "--influxdb"))


def nightly(options: Options) -> tuple[Step, ...]:
    """What keeps the lake small, one after another."""
    retain = (Step("retain", ("lake", "retain", "--days", options.lake_days)),) if options.lake_days else ()
    return Step("compact", ("lake", "compact")), *retain, Step("clean", ("lake", "clean"))


def data_quality() -> Step:
    """Everything that is compared, of the data and of the dead letters by reason."""
    return Step("data_quality", ("drift", "--all", "--dead-letters"))


def backtest(version: int, history: str) -> Step:
    """What a version would have flagged."""
    return Step("backtest", ("backtest", _plain("history", history), "--model", str(version)))


def gate(version: int, history: str) -> Step:
    """Whether a version may be promoted."""
    return Step("gate", ("gate", str(version), _plain("history", history)))


def train(history: str, detector: str, options: Sequence[str]) -> Step:
    """Train a new version."""
    return Step("train", ("train", _plain("history", history), "--detector", _plain("detector", detector), *options))


def become(version: int, then: str) -> Step | None:
    """What a version that passed the gate becomes; None: nothing. Raises `StepRefused` for what is none of `THEN`."""
    if then not in THEN:
        raise StepRefused(f"then has to be one of {', '.join(THEN)}, but it is {then!r}")
    why = ("--why", "retrained by the orchestrator")
    return None if then == "nothing" else Step(then, (then, str(version), *why))


def pull(url: str, options: Sequence[str]) -> Step:
    """Take what a REST service has. Records that can't be mapped are dead letters by then, which is noted."""
    if urlsplit(_plain("url", url)).username is not None:
        raise StepRefused(
            "the url has a user or a password in it: use SCORELINE_PULL_AUTHORIZATION, which no page shows"
        )
    return Step("pull", ("pull", url, "--once", *options), (REFUSED,))


def _plain(what: str, value: str) -> str:
    """A value that can't be taken for an option.

    >>> _plain("history", "--promote")
    Traceback (most recent call last):
      ...
    scoreline_steps.StepRefused: history can't be empty or begin with -, but it is '--promote'
    """
    if not value or value.startswith("-") or "\0" in value:
        raise StepRefused(f"{what} can't be empty or begin with -, but it is {value!r}")
    return value


def run(step: Step, options: Options, log: logging.Logger) -> list[str]:
    """Run a step to its end and log its lines; returns those of its standard output.

    Raises `StepRefused` for exit status 3, `StepFailed` for any other but 0, with the command and what it said last. Where
    the orchestrator ends the task, the command ends too.
    """
    log.info("%s", step.line)
    said = list[str]()
    last = deque[str](maxlen=_LAST_LINES)
    with _started(step, options) as process:
        assert process.stdout is not None
        for text in process.stdout:
            line = text.rstrip()
            log.info("%s", line)
            said.append(line)
            last.append(line)
        status = process.wait()
    if status == 0:
        return said
    words = next(
        (line for line in reversed(last) if line.startswith("error:")), last[-1] if last else "it said nothing"
    )
    failure = f"`{step.line}` ended with status {status}: {words}"
    if status in step.noted:
        log.warning("%s", failure)
        return said
    raise (StepRefused if status == REFUSED else StepFailed)(failure)


@contextmanager
def _started(step: Step, options: Options) -> Iterator[subprocess.Popen[str]]:
    """The process of a step, which does not outlive the block. The orchestrator's own settings are not passed on to it."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(_OF_ORCHESTRATORS) and name not in ("PYTHONPATH", "VIRTUAL_ENV")
    }
    try:
        process = subprocess.Popen(
            [*options.command, *step.arguments],
            cwd=options.folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
    except OSError as error:
        raise StepFailed(
            f"`{step.line}` could not be started: {error}; SCORELINE_COMMAND names the command, SCORELINE_FOLDER its folder"
        ) from error
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(_GRACE_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
        if process.stdout is not None:
            process.stdout.close()
        process.wait()


def version_with(alias: str, options: Options, log: logging.Logger) -> int | None:
    """The registered version that has an alias; None where none has."""
    for line in run(Step("models", ("models", "--json")), options, log):
        if line.startswith("{"):
            row = json.loads(line)
            if alias in row["aliases"]:
                return int(row["version"])
    return None


def new_version(said: Sequence[str]) -> int:
    """The version that `train` registered, of what it said.

    >>> new_version(["registering", "version 7 of scoreline, xgboost: threshold 0.6"])
    7
    """
    found = [found for line in said if (found := re.match(r"version (\d+) of ", line))]
    if not found:
        raise StepFailed("`scoreline train` did not say which version it registered: see its lines above")
    return int(found[-1][1])
