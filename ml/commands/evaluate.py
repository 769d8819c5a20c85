"""Judges detectors, a registered model, or what the job wrote, on a history."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from messaging.config import KafkaConfig
from ml import console
from ml.commands import common
from ml.commands.topic_scores import read_scores
from ml.detectors import DETECTORS, Detector
from ml.evaluation import protocol_report
from ml.evaluation.contest import Judged, StreamScores, Terms, evaluate
from ml.evaluation.errors import EvaluationError
from ml.evaluation.protocol import Protocol, evaluate_by
from ml.evaluation.report import last_line
from ml.options import (
    Extras,
    ExtrasFile,
    FitDays,
    FitEnd,
    KnownDays,
    Profiles,
    ProtocolOption,
    Seeds,
    TestDays,
    protocol_from,
)
from ml.thresholds.budget import DEFAULT_BUDGET
from settings import Settings


def evaluate_command(
    folder: Annotated[str, typer.Argument(help="History: transactions, and truth.parquet or labels.parquet.")],
    detector: Annotated[
        list[str] | None, typer.Option(show_default="all", help=f"One of {', '.join(DETECTORS)}; may be repeated.")
    ] = None,
    model: Annotated[
        int | None, typer.Option(min=1, help="Judge this registered version, trained on other data.")
    ] = None,
    scores: Annotated[str | None, typer.Option(help="Judge what the job wrote on this topic.")] = None,
    bootstrap_servers: Annotated[str | None, typer.Option(help="Kafka brokers, if not those of the settings.")] = None,
    budget: Annotated[float, typer.Option(help="Share of the traffic that may become alerts.")] = DEFAULT_BUDGET,
    label_delay_days: Annotated[
        float | None, typer.Option(min=0.0, show_default="that of the labels", help="Gap between training and test.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of every random choice.")] = 0,
    report: Annotated[str | None, typer.Option(help="Write every figure to this JSON file.")] = None,
    extras: Extras = True,
    extras_file: ExtrasFile = None,
    protocol: ProtocolOption = None,
    seeds: Seeds = None,
    fit_end: FitEnd = None,
    fit_days: FitDays = None,
    test_days: TestDays = None,
    known_days: KnownDays = None,
    profiles: Profiles = True,
    profile_delay_hours: Annotated[
        int, typer.Option(min=0, help="Judge as if each table of profiles came so many hours late.")
    ] = 0,
) -> None:
    """Judge detectors, a model, or what the streaming job wrote, on the last quarter of a history. The last line is JSON.

    With --protocol handbook: detectors, by the weeks and the figures of the Fraud Detection Handbook.
    """
    judged: Judged = _chosen(detector)
    history, figures = common.local(folder, "FOLDER"), None if report is None else common.local(report, "--report")
    days = {"fit_days": fit_days, "test_days": test_days, "known_days": known_days}
    terms = Terms(
        budget,
        label_delay_days,
        seed,
        extras,
        profiles,
        profile_delay_hours,
        common.rates(),
        common.declared(extras_file),
    )
    plan = protocol_from(protocol, fit_end, delay_days=label_delay_days, **days)
    if plan is None and seeds is not None:
        raise EvaluationError("--seeds belongs to --protocol: give both or neither")
    if plan is not None and (model is not None or scores is not None):
        raise EvaluationError("--protocol judges detectors that it fits: leave --model and --scores out")
    if plan is not None:
        _evaluate_by(plan, history, _chosen(detector), terms, seeds or 1, figures)
        return
    if scores is not None:
        kafka = KafkaConfig.from_settings(Settings.from_command_line([]))
        kafka = replace(kafka, servers=bootstrap_servers or kafka.servers)
        with common.bars() as bars:
            judged = StreamScores(scores, read_scores(kafka, scores, bars))
    elif model is not None:
        judged = common.registry().load(model, common.opened(history, extras).extras)
    with common.bars() as bars:
        results = evaluate(history, judged, terms, bars)
    _write(figures, results)
    console.show(common.out, results)
    print(msgspec.json.encode(last_line(results)).decode(), flush=True)


def _evaluate_by(
    plan: Protocol, history: Path, detectors: list[Detector], terms: Terms, seeds: int, figures: Path | None
) -> None:
    with common.bars() as bars:
        outcomes = evaluate_by(plan, history, detectors, terms, seeds, bars)
    _write(figures, outcomes)
    console.show_outcomes(common.out, outcomes)
    print(msgspec.json.encode(protocol_report.last_line(outcomes)).decode(), flush=True)


def _chosen(names: list[str] | None) -> list[Detector]:
    for name in names or ():
        if name not in DETECTORS:
            raise EvaluationError(f"--detector is one of {', '.join(DETECTORS)}, not {name!r}")
    return [DETECTORS[name] for name in names or DETECTORS]


def _write(file: Path | None, figures: object) -> None:
    if file is not None:
        file.write_bytes(msgspec.json.format(msgspec.json.encode(figures)))
