"""A model that learns from labels while traffic flows: fitted, put on trial, checked at the gate, promoted; step by step."""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from demo.environment import Environment
from demo.labelled import DETECTOR, version_with_labels
from demo.programs import Program
from ml.registry.model_store import ModelStore
from programs.background import Background

LEAST_SHADOWED: Final = 2_000
"""Transactions that the model on trial has scored beside the champion before the gate looks at it."""
_SHADOW_SECONDS: Final = 60.0
_POLL_SECONDS: Final = 0.2


class Refused(Exception):
    """A step came to another end than the story wants; the text says why, for a person."""


@dataclass
class Steps:
    """What has been reached: times are monotonic seconds."""

    version: int | None = None
    """The version that learned from labels, once it is registered."""
    promoted: float | None = None
    refused: str | None = None
    """Why there was no promotion."""


class Promotion(Background):
    """Does each step by the command that a person would call. say: what happens, in words, for the screen.

    scored: how many transactions have been scored so far. While it works, the environment's `training_with_labels` is its own.
    """

    def __init__(self, environment: Environment, scored: Callable[[], int], say: Callable[[str], None]) -> None:
        super().__init__()
        self.steps: Final = Steps()
        self._environment = environment
        self._registry = ModelStore(environment.stack.mlflow.database_uri)
        self._scored = scored
        self._say = say

    def work(self, stopped: threading.Event) -> None:
        try:
            self._fit(stopped)
            self._challenge(stopped)
            self._gate(stopped)
            self._promote(stopped)
        except Refused as refused:
            self.steps.refused = str(refused)
            if not stopped.is_set():
                self._say(f"no promotion: {refused}")

    def _fit(self, stopped: threading.Event) -> None:
        version = version_with_labels(self._registry)
        if version is None:
            self._say(f"fitting {DETECTOR} to the labels that had come when the history ended")
            history = str(self._environment.folder.history)
            self._command(["train", history, "--detector", DETECTOR, "--no-report"], stopped)
            version = version_with_labels(self._registry)
            if version is None:
                raise Refused("no model with labels was registered")
        self.steps.version = version
        found = next((model for model in self._registry.models() if model.version == version), None)
        self._say(
            f"version {version}, {DETECTOR}, has learned from labels{'' if found is None else _labels(found.params)}"
        )

    def _challenge(self, stopped: threading.Event) -> None:
        self._command(["challenge", str(self.steps.version), "--why", "the demo"], stopped)
        began, deadline = self._scored(), time.monotonic() + _SHADOW_SECONDS
        self._say(f"version {self.steps.version} is on trial: it scores beside the champion and decides nothing")
        while self._scored() - began < LEAST_SHADOWED and time.monotonic() < deadline:
            if stopped.wait(_POLL_SECONDS):
                raise Refused("the run has ended before")

    def _gate(self, stopped: threading.Event) -> None:
        settings = self._environment.settings()
        history = str(self._environment.folder.history)
        output = self._command(["gate", str(self.steps.version), history, "--scores", settings.scores_topic], stopped)
        self._say(output.strip().splitlines()[-1])

    def _promote(self, stopped: threading.Event) -> None:
        self._command(["promote", str(self.steps.version), "--why", "passed the gate in the demo"], stopped)
        self.steps.promoted = time.monotonic()
        self._say(f"version {self.steps.version} is promoted; job and service take it up without a restart")

    def _command(self, arguments: list[str], stopped: threading.Event) -> str:
        """Run `python -m ml` with these arguments to its end, and return what it said. Raises `Refused` where it fails."""
        program: Program = self._environment.training_with_labels
        before = len(program.output)
        environment = self._environment.settings().environment()
        program.start(["ml", *arguments], environment, last=True)
        while program.running:
            if stopped.wait(_POLL_SECONDS):
                program.kill()
                raise Refused("the run has ended before")
        output = program.output[before:]
        if program.exit_status:
            raise Refused(_last_line(output) or f"`ml {arguments[0]}` ended with status {program.exit_status}")
        return output


def _labels(params: Mapping[str, str]) -> str:
    rows = params.get("labels")
    return "" if rows is None else f" ({rows} of them)"


def _last_line(output: str) -> str:
    lines = [line for line in output.strip().splitlines() if line.strip()]
    return lines[-1].strip() if lines else ""
